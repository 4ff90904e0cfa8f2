//! The page itself. Everything that comes from the document is escaped, although all of it is ours.

use super::fields::{self, Field};
use crate::html::escaped;
use serde_json::Value;
use std::collections::BTreeMap;

pub(super) const STYLE: &str = "*{box-sizing:border-box}html{scroll-padding-top:1rem}\
body{font:15px/1.55 system-ui,sans-serif;margin:0;color:#1c1c1c;background:#fff}a{color:#0b57d0;text-decoration:none}\
a:hover{text-decoration:underline}code,pre{font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,monospace}\
nav{position:fixed;top:0;left:0;bottom:0;width:15rem;overflow:auto;padding:1.5rem;border-right:1px solid #ddd}\
nav ul{list-style:none;margin:.5rem 0;padding:0}nav li{margin:.15rem 0}\
main{margin-left:15rem;padding:1.5rem 2rem 6rem;max-width:66rem}h1{font-size:1.7rem;margin:0 0 .5rem}\
h2{font-size:1.25rem;margin:2.5rem 0 .5rem;padding-bottom:.25rem;border-bottom:1px solid #ddd}h3{font-size:1rem;margin:1.25rem 0 .4rem}\
details.call{border:1px solid #ddd;border-radius:6px;margin:.5rem 0}details.call>summary{cursor:pointer;padding:.55rem .8rem}\
details.call[open]>summary{border-bottom:1px solid #ddd;background:#f6f6f6}details.call>div{padding:.4rem 1rem 1rem}\
summary b{display:inline-block;min-width:4.2rem;font:700 12px/1.6 ui-monospace,monospace}\
b.get{color:#0b6b2e}b.post{color:#0b57d0}b.put,b.patch{color:#8a4b00}b.delete{color:#a40000}\
summary span{color:#5c5c5c;margin-left:.5rem}.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:14px}\
th,td{text-align:left;vertical-align:top;padding:.35rem .6rem .35rem 0;border-bottom:1px solid #e6e6e6}\
th{color:#5c5c5c;font-weight:600}td:first-child code{white-space:nowrap}td.kind{color:#5c5c5c;white-space:nowrap}\
em{color:#a40000;font-style:normal;font-size:12px}pre{background:#f4f4f4;border-radius:6px;padding:.8rem;overflow:auto;max-height:30rem;margin:.3rem 0}\
@media(max-width:52rem){nav{position:static;width:auto;border-right:0;border-bottom:1px solid #ddd}main{margin:0;padding:1rem}}\
@media(prefers-color-scheme:dark){body{color:#e8e8e8;background:#151515}a{color:#8ab4f8}nav,h2,details.call,th,td{border-color:#333}\
details.call[open]>summary{background:#1f1f1f;border-color:#333}pre{background:#202020}summary span,th,td.kind{color:#a8a8a8}\
b.get{color:#7fd49a}b.post{color:#8ab4f8}b.put,b.patch{color:#f0b36b}b.delete,em{color:#ff9c9c}}";

/// Everything between `<body>` and its end.
pub(super) fn body(document: &Value) -> String {
    let groups = groups(document);
    let mut nav = String::new();
    let mut main = String::new();
    for (tag, calls) in &groups {
        nav.push_str(&format!("<li><a href=\"#{0}\">{0}</a></li>", escaped(tag)));
        main.push_str(&format!("<h2 id=\"{0}\">{0}</h2>", escaped(tag)));
        calls.iter().for_each(|call| main.push_str(&shown(document, call)));
    }
    format!(
        "<nav aria-label=\"Groups\"><strong>Holdfast API</strong><ul>{nav}</ul></nav><main><h1>Holdfast API {version}</h1>{head}{main}</main>",
        version = escaped(text(&document["info"]["version"])),
        head = head(document),
    )
}

struct Call<'a> {
    method: String,
    path: &'a str,
    operation: &'a Value,
}

/// Calls by their tag, each in the order of the document.
fn groups(document: &Value) -> BTreeMap<&str, Vec<Call<'_>>> {
    let mut groups: BTreeMap<&str, Vec<Call<'_>>> = BTreeMap::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let call = Call { method: method.to_uppercase(), path, operation };
            groups.entry(operation["tags"][0].as_str().unwrap_or("other")).or_default().push(call);
        }
    }
    groups
}

fn head(document: &Value) -> String {
    let said = escaped(text(&document["info"]["description"]));
    format!(
        "<p>{said} The same for programs: <a href=\"/api/openapi.json\">/api/openapi.json</a> (OpenAPI 3.1).</p>\
         <h3>The first call</h3><p>Make a token (<code>POST /api/tokens</code>, or the one that the set-up shows), and send it:</p>\
         <pre>curl -H 'Authorization: Bearer 17|hf_…' https://backup.example.com/api/user</pre>\
         <p>Bodies and answers are JSON; times are RFC 3339 in UTC. A refusal has <code>error</code>, <code>message</code> and a \
         <code>code</code> for programs. Lists take <code>page</code> and <code>per_page</code>.</p>"
    )
}

fn shown(document: &Value, call: &Call<'_>) -> String {
    let operation = call.operation;
    let mut inside = marked(text(&operation["description"]));
    inside.push_str(&parameters(&operation["parameters"]));
    if let Some(content) = operation["requestBody"]["content"].as_object() {
        let kinds: Vec<String> = content.keys().map(|kind| format!("<code>{}</code>", escaped(kind))).collect();
        inside.push_str(&format!("<h3>Body</h3><p>{}</p>", kinds.join(", ")));
        // Every type of a body carries the same fields.
        if let Some(first) = content.values().next() {
            inside.push_str(&table(&fields::of(document, &first["schema"])));
            inside.push_str(&example(&first["example"]));
        }
    }
    inside.push_str(&answers(document, &operation["responses"]));
    format!(
        "<details class=\"call\" id=\"{id}\"><summary><b class=\"{class}\">{method}</b> <code>{path}</code><span>{summary}</span></summary>\
         <div>{inside}</div></details>",
        id = escaped(text(&operation["operationId"])),
        class = escaped(&call.method.to_lowercase()),
        method = escaped(&call.method),
        path = escaped(call.path),
        summary = coded(text(&operation["summary"])),
    )
}

fn parameters(all: &Value) -> String {
    let Some(all) = all.as_array().filter(|all| !all.is_empty()) else { return String::new() };
    let rows = all.iter().map(|one| {
        let field = Field {
            path: text(&one["name"]).to_owned(),
            kind: format!("{}, {}", text(&one["in"]), fields::kind(&Value::Null, &one["schema"])),
            is_required: one["required"] == true,
            text: text(&one["description"]).to_owned(),
        };
        row(&field)
    });
    format!("<h3>Parameters</h3><div class=\"wide\"><table>{}</table></div>", rows.collect::<String>())
}

fn answers(document: &Value, all: &Value) -> String {
    let mut rows = String::new();
    let mut good = String::new();
    for (status, answer) in all.as_object().into_iter().flatten() {
        let said = coded(text(&answer["description"]));
        rows.push_str(&format!("<tr><td><code>{}</code></td><td>{said}</td></tr>", escaped(status)));
        let content = &answer["content"]["application/json"];
        if status.starts_with('2') && content.is_object() {
            let table = table(&fields::of(document, &content["schema"]));
            good.push_str(&format!(
                "<details><summary>Fields of the {}</summary>{table}</details>{}",
                escaped(status),
                example(&content["example"])
            ));
        }
    }
    format!("<h3>Answers</h3><div class=\"wide\"><table>{rows}</table></div>{good}")
}

fn table(fields: &[Field]) -> String {
    if fields.is_empty() {
        return String::new();
    }
    format!("<div class=\"wide\"><table>{}</table></div>", fields.iter().map(row).collect::<String>())
}

fn row(field: &Field) -> String {
    format!(
        "<tr><td><code>{}</code>{}</td><td class=\"kind\">{}</td><td>{}</td></tr>",
        escaped(&field.path),
        if field.is_required { " <em>always</em>" } else { "" },
        escaped(&field.kind),
        coded(&field.text)
    )
}

fn example(value: &Value) -> String {
    if value.is_null() {
        return String::new();
    }
    format!("<pre>{}</pre>", escaped(&serde_json::to_string_pretty(value).unwrap_or_default()))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Paragraphs.
fn marked(text: &str) -> String {
    text.split("\n\n").filter(|part| !part.trim().is_empty()).map(|part| format!("<p>{}</p>", coded(part))).collect()
}

/// Escaped, with what stands between backticks as code.
fn coded(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    // An odd backtick is one that means itself.
    if parts.len().is_multiple_of(2) {
        return escaped(text);
    }
    let each = parts.iter().enumerate();
    each.map(|(at, part)| if at % 2 == 1 { format!("<code>{}</code>", escaped(part)) } else { escaped(part) }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_description_becomes_markup() {
        assert_eq!(coded("`a<b>` & <i>"), "<code>a&lt;b&gt;</code> &amp; &lt;i&gt;");
        assert_eq!(coded("one ` alone"), "one ` alone");
        assert_eq!(marked("one\n\ntwo `x`"), "<p>one</p><p>two <code>x</code></p>");
    }
}

//! The pages of the set-up: plain HTML, no script, one style with its hash in the policy. Every value is escaped.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:3rem auto;padding:0 1rem;color:#1c1c1c;\
background:#fff}label{display:block;margin:1rem 0 .25rem}input{font:inherit;width:100%;padding:.5rem;border:1px solid #767676;\
border-radius:4px;box-sizing:border-box}button{font:inherit;margin-top:1.5rem;padding:.6rem 1.2rem;border:0;border-radius:4px;\
background:#0b57d0;color:#fff}code{display:block;padding:1rem;background:#f1f1f1;overflow-wrap:anywhere}\
.errors{color:#a40000}@media(prefers-color-scheme:dark){body{background:#161616;color:#ececec}code{background:#262626}\
.errors{color:#ff9c9c}}";

/// What a person typed, to be shown again. Never the password.
#[derive(Default)]
pub(super) struct Typed {
    pub name: String,
    pub email: String,
    pub timezone: String,
}

/// The form, with what was wrong with it.
pub(super) fn form(status: StatusCode, token: &str, typed: &Typed, errors: &[String]) -> Response {
    let items: String = errors.iter().map(|error| format!("<li>{}</li>", escaped(error))).collect();
    let errors =
        if items.is_empty() { String::new() } else { format!("<ul class=\"errors\" role=\"alert\">{items}</ul>") };
    let body = format!(
        "<h1>Set up Holdfast</h1><p>This makes the first person of this installation. The link works once.</p>{errors}\
         <form method=\"post\" action=\"/setup\"><input type=\"hidden\" name=\"token\" value=\"{token}\">\
         <label for=\"name\">Name</label><input id=\"name\" name=\"name\" required maxlength=\"255\" autocomplete=\"name\" value=\"{name}\">\
         <label for=\"email\">E-mail</label><input id=\"email\" name=\"email\" type=\"email\" required maxlength=\"255\" autocomplete=\"email\" value=\"{email}\">\
         <label for=\"password\">Password (at least 8 characters)</label><input id=\"password\" name=\"password\" type=\"password\" required minlength=\"8\" autocomplete=\"new-password\">\
         <label for=\"timezone\">Time zone, as Europe/Berlin</label><input id=\"timezone\" name=\"timezone\" autocomplete=\"off\" value=\"{timezone}\">\
         <button type=\"submit\">Set up</button></form>",
        token = escaped(token),
        name = escaped(&typed.name),
        email = escaped(&typed.email),
        timezone = escaped(&typed.timezone),
    );
    page(status, "Set up Holdfast", &body)
}

/// The token, shown this once.
pub(super) fn done(token: &str) -> Response {
    let body = format!(
        "<h1>Holdfast is set up</h1><p>This is your API token. It may do everything in your team and is shown this once:</p>\
         <code>{}</code><p>Use it as <strong>Authorization: Bearer</strong> header. The calls are described at \
         <a href=\"/api/openapi.json\">/api/openapi.json</a>.</p>",
        escaped(token)
    );
    page(StatusCode::CREATED, "Holdfast is set up", &body)
}

/// Something else than the form.
pub(super) fn notice(status: StatusCode, title: &str, text: &str) -> Response {
    page(status, title, &format!("<h1>{}</h1><p>{}</p>", escaped(title), escaped(text)))
}

fn page(status: StatusCode, title: &str, body: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width,initial-scale=1\"><title>{}</title><style>{STYLE}</style></head><body>{body}</body></html>",
        escaped(title)
    );
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    );
    let mut response = (status, Html(html)).into_response();
    let headers = response.headers_mut();
    let policy = HeaderValue::from_str(&policy).expect("base64 and fixed text");
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Text for between tags and for quoted attributes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_typed_becomes_markup() {
        assert_eq!(escaped("<a href=\"x\">'&"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;");
    }
}

//! Slack: an incoming webhook, <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>, with the fields
//! of <https://docs.slack.dev/legacy/legacy-messaging/legacy-secondary-message-attachments>. Slack makes a mention or a
//! link of what stands between `<` and `>`: such text is refused here, as nothing of ours may be one.

use super::{Answer, Refused, Request, Taken, Verdict, boolean, inner, integer, object, only, text, web_address, word};
use axum::http::Method;
use serde_json::{Map, Value};

const MESSAGE: &[&str] = &["text", "attachments", "blocks", "mrkdwn", "parse", "link_names", "unfurl_links"];
const ATTACHMENT: &[&str] =
    &["color", "fallback", "text", "pretext", "title", "title_link", "ts", "mrkdwn_in", "footer"];
const TEXT_UNITS: usize = 40_000;
const FORMATTED: &[&str] = &["pretext", "text", "fields"];

/// As the webhook `/services/{path}` judges.
pub fn judge(path: &str) -> impl Fn(&Request) -> Verdict + use<> {
    let path = format!("/services/{path}");
    move |request| {
        if request.uri.path() != path {
            return Err(refused("another webhook", 404, "no_service"));
        }
        if request.method != Method::POST {
            return Err(refused("not a POST", 405, "method_not_allowed"));
        }
        let message = object(request).map_err(|why| refused(&why, 400, "invalid_payload"))?;
        let is_empty = |name: &str| message.get(name).is_none_or(|value| matches!(value.as_str(), Some("")));
        if is_empty("text") && is_empty("attachments") && is_empty("blocks") {
            return Err(refused("nothing to show", 400, "no_text"));
        }
        check(&message).map_err(|why| refused(&why, 400, "invalid_payload"))?;
        Ok(Taken { message: Value::Object(message), answer: Answer::text(200, "ok") })
    }
}

fn refused(why: &str, status: u16, word: &str) -> Refused {
    Refused { why: why.to_owned(), answer: Answer::text(status, word) }
}

fn check(message: &Map<String, Value>) -> Result<(), String> {
    only(message, MESSAGE)?;
    plain(message, "text")?;
    boolean(message, "mrkdwn")?;
    boolean(message, "link_names")?;
    word(message, "parse", &["none", "full"])?;
    let Some(attachments) = message.get("attachments") else { return Ok(()) };
    let attachments = attachments.as_array().filter(|all| all.len() <= 100).ok_or("attachments: no list of 100")?;
    attachments.iter().try_for_each(|one| attachment(inner(one, "attachment")?))
}

fn attachment(fields: &Map<String, Value>) -> Result<(), String> {
    only(fields, ATTACHMENT)?;
    for name in ["fallback", "text", "pretext", "title", "footer"] {
        plain(fields, name)?;
    }
    web_address(fields, "title_link", 3000)?;
    integer(fields, "ts", 0, 4_000_000_000)?;
    if let Some(colour) = text(fields, "color", 10)? {
        let is_hex = colour.strip_prefix('#').is_some_and(|hex| hex.len() == 6 && u32::from_str_radix(hex, 16).is_ok());
        let is_one = is_hex || ["good", "warning", "danger"].contains(&colour.as_str());
        is_one.then_some(()).ok_or_else(|| format!("color: {colour}"))?;
    }
    let formatted = fields.get("mrkdwn_in").and_then(Value::as_array);
    let is_known = |name: &Value| FORMATTED.contains(&name.as_str().unwrap_or_default());
    if formatted.is_some_and(|names| !names.iter().all(is_known)) { Err("mrkdwn_in".to_owned()) } else { Ok(()) }
}

/// A text with its three characters escaped.
fn plain(fields: &Map<String, Value>, name: &str) -> Result<(), String> {
    let Some(text) = text(fields, name, TEXT_UNITS)? else { return Ok(()) };
    let is_escaped = |rest: &str| ["amp;", "lt;", "gt;"].iter().any(|escape| rest.starts_with(escape));
    if text.contains(['<', '>']) || !text.split('&').skip(1).all(is_escaped) {
        return Err(format!("{name}: not escaped: {text:.200}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receivers::samples::{json_posted, with};
    use serde_json::json;

    fn good() -> Value {
        json!({"text": "a &amp; b", "mrkdwn": false, "parse": "none", "attachments": [{"color": "#2ea44f",
            "fallback": "f", "text": "t", "mrkdwn_in": [], "ts": 7, "title": "Open", "title_link": "https://b.example/"}]})
    }

    #[test]
    fn a_good_message_is_answered_ok_and_others_are_refused_as_slack_does() {
        let judge = judge("T0/B0/x");
        let taken = judge(&json_posted("/services/T0/B0/x", &good())).expect("taken");
        assert_eq!(taken.answer, Answer::text(200, "ok"));
        let said = |path: &str, body: &Value| {
            let answer = judge(&json_posted(path, body)).err().expect("refused").answer;
            (answer.status, answer.body)
        };
        assert_eq!(said("/services/T0/B0/y", &good()), (404, "no_service".to_owned()));
        assert_eq!(said("/services/T0/B0/x", &json!({"text": ""})), (400, "no_text".to_owned()));
        assert_eq!(said("/services/T0/B0/x", &json!(["x"])), (400, "invalid_payload".to_owned()));
        for (pointer, bad) in [
            ("/text", json!("<!channel>")),
            ("/text", json!("a & b")),
            ("/text", json!(7)),
            ("/attachments/0/text", json!("x".repeat(40_001))),
            ("/attachments/0/color", json!("#12345g")),
            ("/attachments/0/ts", json!("7")),
            ("/attachments/0/title_link", json!("b.example")),
            ("/attachments/0/mrkdwn_in", json!(["everything"])),
            ("/attachment", json!([])),
        ] {
            let answer = said("/services/T0/B0/x", &with(good(), pointer, bad));
            assert_eq!(answer, (400, "invalid_payload".to_owned()), "{pointer}");
        }
    }
}

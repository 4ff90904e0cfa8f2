//! ntfy: publishing as JSON, <https://docs.ntfy.sh/publish/#publish-as-json>, to a topic that wants an access token. The
//! codes of its errors are those of its source, `server/errors.go`.

use super::{Answer, Refused, Request, Taken, Verdict, integer, object, only, text, web_address};
use axum::http::{Method, header};
use serde_json::{Map, Value, json};

const FIELDS: &[&str] = &["topic", "title", "message", "tags", "priority", "click", "markdown", "icon", "delay"];
/// A longer one would become a file.
const MESSAGE_BYTES: usize = 4096;

/// As a server judges whose `topic` is open to `token` alone.
pub fn judge(topic: &str, token: &str) -> impl Fn(&Request) -> Verdict + use<> {
    let (topic, bearer) = (topic.to_owned(), format!("Bearer {token}"));
    move |request| {
        if request.uri.path() != "/" || request.method != Method::POST {
            return Err(refused("another endpoint", 404, 40_401, "page not found"));
        }
        match request.headers.get(header::AUTHORIZATION) {
            None => return Err(refused("no token", 403, 40_301, "forbidden")),
            Some(value) if value.as_bytes() != bearer.as_bytes() => {
                return Err(refused("another token", 401, 40_101, "unauthorized"));
            }
            Some(_) => {}
        }
        let invalid = |why: String| refused(&why, 400, 40_017, "invalid request: request body must be message JSON");
        let message = object(request).map_err(invalid)?;
        only(&message, FIELDS).map_err(invalid)?;
        let named = text(&message, "topic", 1000).map_err(invalid)?.unwrap_or_default();
        let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if named.is_empty() || named.len() > 64 || !named.chars().all(is_letter) {
            return Err(refused("no topic", 400, 40_009, "invalid request: topic invalid"));
        }
        if named != topic {
            return Err(refused("another topic", 403, 40_301, "forbidden"));
        }
        check(&message)?;
        let mut told = json!({ "id": "sPs71M8A2T", "time": 0, "expires": 43_200, "event": "message" });
        for (name, value) in &message {
            told[name] = value.clone();
        }
        Ok(Taken { message: Value::Object(message), answer: Answer::json(200, &told) })
    }
}

fn refused(why: &str, status: u16, code: u32, error: &str) -> Refused {
    let body = json!({ "code": code, "http": status, "error": error });
    Refused { why: why.to_owned(), answer: Answer::json(status, &body) }
}

fn check(message: &Map<String, Value>) -> Result<(), Refused> {
    let invalid = |why: String| refused(&why, 400, 40_017, "invalid request: request body must be message JSON");
    integer(message, "priority", 1, 5).map_err(|why| refused(&why, 400, 40_007, "invalid priority parameter"))?;
    text(message, "title", 1024).map_err(invalid)?;
    web_address(message, "click", 2048).map_err(invalid)?;
    if let Some(tags) = message.get("tags") {
        let are_words = tags.as_array().is_some_and(|tags| tags.iter().all(Value::is_string));
        are_words.then_some(()).ok_or_else(|| invalid(format!("tags: {tags}")))?;
    }
    let text = text(message, "message", MESSAGE_BYTES).map_err(invalid)?.unwrap_or_default();
    if text.len() > MESSAGE_BYTES {
        let error = "attachment too large, or bandwidth limit reached";
        return Err(refused("message: it would become a file", 413, 41_301, error));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receivers::samples::{json_posted, with};

    fn asked(body: &Value, authorization: Option<&str>) -> Request {
        let mut request = json_posted("/", body);
        let value = authorization.map(|value| value.parse().expect("a header"));
        value.map(|value| request.headers.insert(header::AUTHORIZATION, value));
        request
    }

    #[test]
    fn a_good_message_comes_back_and_others_are_refused_as_ntfy_does() {
        let judge = judge("backups", "tk_x");
        let good = json!({"topic": "backups", "title": "t", "message": "m", "priority": 4, "tags": ["warning"],
            "click": "https://b.example/"});
        let taken = judge(&asked(&good, Some("Bearer tk_x"))).expect("taken");
        let told: Value = serde_json::from_str(&taken.answer.body).expect("JSON");
        assert_eq!((taken.answer.status, &told["event"], &told["message"]), (200, &json!("message"), &json!("m")));
        let code = |request: &Request| {
            let answer = judge(request).err().expect("refused").answer;
            let body: Value = serde_json::from_str(&answer.body).expect("JSON");
            assert_eq!(body["http"], answer.status);
            body["code"].as_i64().expect("a code")
        };
        assert_eq!(code(&asked(&good, None)), 40_301);
        assert_eq!(code(&asked(&good, Some("Bearer tk_y"))), 40_101);
        for (pointer, bad, expected) in [
            ("/topic", json!("a/b"), 40_009),
            ("/topic", json!("other"), 40_301),
            ("/priority", json!(6), 40_007),
            ("/priority", json!("high"), 40_007),
            ("/tags", json!("warning"), 40_017),
            ("/message", json!("ä".repeat(2049)), 41_301),
            ("/click", json!("b.example"), 40_017),
            ("/body", json!("m"), 40_017),
        ] {
            let request = asked(&with(good.clone(), pointer, bad), Some("Bearer tk_x"));
            assert_eq!(code(&request), expected, "{pointer}");
        }
    }
}

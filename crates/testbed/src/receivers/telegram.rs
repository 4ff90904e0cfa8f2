//! Telegram: `sendMessage` of the Bot API, <https://core.telegram.org/bots/api#sendmessage>.

use super::{Answer, Refused, Request, Taken, Verdict, boolean, inner, object, only, text};
use axum::http::Method;
use serde_json::{Map, Value, json};

const FIELDS: &[&str] = &["chat_id", "text", "link_preview_options", "disable_notification", "protect_content"];
const TEXT_UNITS: usize = 4096;

/// As the API judges that knows the bot `token`, which is in the chat `chat_id`.
pub fn judge(token: &str, chat_id: &str) -> impl Fn(&Request) -> Verdict + use<> {
    let (path, chat_id) = (format!("/bot{token}/sendMessage"), chat_id.to_owned());
    move |request| {
        if request.uri.path() != path {
            return Err(refused("another bot or method", 401, "Unauthorized"));
        }
        if request.method != Method::POST {
            return Err(refused("not a POST", 405, "Method Not Allowed"));
        }
        let message = object(request).map_err(|why| refused(&why, 400, "Bad Request: can't parse the body"))?;
        let chat = match message.get("chat_id") {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => return Err(refused("no chat_id", 400, "Bad Request: chat_id is empty")),
        };
        if chat != chat_id {
            return Err(refused("another chat", 400, "Bad Request: chat not found"));
        }
        check(&message).map_err(|(why, problem)| refused(&why, 400, &format!("Bad Request: {problem}")))?;
        let result =
            json!({ "message_id": 1, "date": 0, "chat": { "id": chat, "type": "group" }, "text": message["text"] });
        let answer = Answer::json(200, &json!({ "ok": true, "result": result }));
        Ok(Taken { message: Value::Object(message), answer })
    }
}

fn refused(why: &str, status: u16, description: &str) -> Refused {
    let body = json!({ "ok": false, "error_code": status, "description": description });
    Refused { why: why.to_owned(), answer: Answer::json(status, &body) }
}

fn check(message: &Map<String, Value>) -> Result<(), (String, &'static str)> {
    let invalid = |why: String| (why, "can't parse the body");
    only(message, FIELDS).map_err(invalid)?;
    let text = text(message, "text", TEXT_UNITS).map_err(|why| (why, "message is too long"))?;
    if text.is_none_or(|text| text.trim().is_empty()) {
        return Err(("text: empty".to_owned(), "message text is empty"));
    }
    boolean(message, "disable_notification").map_err(invalid)?;
    if let Some(options) = message.get("link_preview_options") {
        let options = inner(options, "link_preview_options").map_err(invalid)?;
        only(options, &["is_disabled", "url"]).map_err(invalid)?;
        boolean(options, "is_disabled").map_err(invalid)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receivers::samples::{json_posted, with};

    const PATH: &str = "/bot1:abc/sendMessage";

    #[test]
    fn a_good_message_is_ok_and_others_are_refused_as_telegram_does() {
        let judge = judge("1:abc", "-100");
        let good = json!({"chat_id": "-100", "text": "t", "link_preview_options": {"is_disabled": true},
            "disable_notification": true});
        let taken = judge(&json_posted(PATH, &good)).expect("taken");
        assert!(taken.answer.status == 200 && taken.answer.body.contains("\"ok\":true"), "{:?}", taken.answer);
        let said = |path: &str, body: &Value| {
            let answer = judge(&json_posted(path, body)).err().expect("refused").answer;
            let body: Value = serde_json::from_str(&answer.body).expect("JSON");
            assert_eq!((&body["ok"], &body["error_code"]), (&json!(false), &json!(answer.status)));
            (answer.status, body["description"].as_str().expect("a text").to_owned())
        };
        assert_eq!(said("/bot1:abd/sendMessage", &good), (401, "Unauthorized".to_owned()));
        for (pointer, bad, description) in [
            ("/chat_id", json!("-101"), "Bad Request: chat not found"),
            ("/chat_id", json!(null), "Bad Request: chat_id is empty"),
            ("/text", json!(" "), "Bad Request: message text is empty"),
            ("/text", json!("𝕏".repeat(2049)), "Bad Request: message is too long"),
            ("/disable_notification", json!("yes"), "Bad Request: can't parse the body"),
            ("/disable_notifications", json!(true), "Bad Request: can't parse the body"),
        ] {
            assert_eq!(said(PATH, &with(good.clone(), pointer, bad)), (400, description.to_owned()), "{pointer}");
        }
    }
}

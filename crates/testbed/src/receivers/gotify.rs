//! Gotify: a message to an application, <https://gotify.net/docs/pushmsg>, with the extras of
//! <https://gotify.net/docs/msgextras>.

use super::{Answer, Refused, Request, Taken, Verdict, inner, integer, object, only, text, web_address, word};
use axum::http::Method;
use serde_json::{Map, Value, json};

/// As a server judges that has an application with `token`.
pub fn judge(token: &str) -> impl Fn(&Request) -> Verdict + use<> {
    let token = token.to_owned();
    move |request| {
        if request.uri.path() != "/message" || request.method != Method::POST {
            return Err(refused("another endpoint", 404, "Not Found", "page not found"));
        }
        if request.headers.get("x-gotify-key").is_none_or(|value| value.as_bytes() != token.as_bytes()) {
            let problem = "you need to provide a valid access token or user credentials to access this api";
            return Err(refused("another token", 401, "Unauthorized", problem));
        }
        let message = object(request).map_err(|why| refused(&why, 400, "Bad Request", "invalid body"))?;
        check(&message).map_err(|why| refused(&why, 400, "Bad Request", &why))?;
        let mut told = json!({ "id": 1, "appid": 1, "date": "2026-11-29T01:00:00Z" });
        for (name, value) in &message {
            told[name] = value.clone();
        }
        Ok(Taken { message: Value::Object(message), answer: Answer::json(200, &told) })
    }
}

fn refused(why: &str, status: u16, error: &str, description: &str) -> Refused {
    let body = json!({ "error": error, "errorCode": status, "errorDescription": description });
    Refused { why: why.to_owned(), answer: Answer::json(status, &body) }
}

fn check(message: &Map<String, Value>) -> Result<(), String> {
    only(message, &["title", "message", "priority", "extras"])?;
    text(message, "title", 10_000)?;
    // The server has no limit; what a phone cannot show was not meant.
    if text(message, "message", 100_000)?.is_none_or(|text| text.is_empty()) {
        return Err("Field 'message' is required".to_owned());
    }
    integer(message, "priority", 0, 10)?;
    let Some(extras) = message.get("extras") else { return Ok(()) };
    for (name, value) in inner(extras, "extras")? {
        let value = inner(value, name)?;
        match name.as_str() {
            "client::display" => {
                only(value, &["contentType"])?;
                word(value, "contentType", &["text/plain", "text/markdown"])?;
            }
            "client::notification" => {
                only(value, &["click", "bigImageUrl"])?;
                let click = inner(value.get("click").unwrap_or(&Value::Null), "click")?;
                only(click, &["url"])?;
                web_address(click, "url", 2048)?;
            }
            _ => return Err(format!("extras: {name} means nothing to a client")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receivers::samples::{json_posted, with};

    #[test]
    fn a_good_message_comes_back_and_others_are_refused_as_gotify_does() {
        let judge = judge("AbC");
        let asked = |body: &Value, token: &str| {
            let mut request = json_posted("/message", body);
            request.headers.insert("x-gotify-key", token.parse().expect("a header"));
            request
        };
        let good = json!({"title": "t", "message": "m", "priority": 8, "extras": {
            "client::display": {"contentType": "text/plain"},
            "client::notification": {"click": {"url": "https://b.example/"}}}});
        let taken = judge(&asked(&good, "AbC")).expect("taken");
        assert!(taken.answer.status == 200 && taken.answer.body.contains("\"appid\":1"), "{:?}", taken.answer);
        assert_eq!(judge(&asked(&good, "AbD")).err().expect("refused").answer.status, 401);
        for (pointer, bad) in [
            ("/message", json!("")),
            ("/priority", json!("high")),
            ("/text", json!("m")),
            ("/extras/client::display/contentType", json!("text/html")),
            ("/extras/client::notification/click", json!("https://b.example/")),
            ("/extras/click", json!({})),
        ] {
            let answer = judge(&asked(&with(good.clone(), pointer, bad), "AbC")).err().expect("refused").answer;
            assert!(answer.status == 400 && answer.body.contains("\"errorCode\":400"), "{pointer}: {answer:?}");
        }
    }
}

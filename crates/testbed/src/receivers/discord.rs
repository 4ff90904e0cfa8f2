//! Discord: Execute Webhook, <https://discord.com/developers/docs/resources/webhook#execute-webhook>, with the limits of
//! <https://discord.com/developers/docs/resources/message#embed-object-embed-limits>.

use super::{Answer, Refused, Request, Taken, Verdict, inner, integer, object, only, text, web_address};
use axum::http::Method;
use serde_json::{Map, Value, json};

const MESSAGE: &[&str] = &["content", "username", "avatar_url", "tts", "embeds", "allowed_mentions", "flags"];
const EMBED: &[&str] = &["title", "description", "url", "timestamp", "color", "footer", "author", "fields"];
/// Title, description, names, values and footers of all embeds.
const EMBEDS_UNITS: usize = 6000;

/// As the webhook `id` with `token` judges.
pub fn judge(id: &str, token: &str) -> impl Fn(&Request) -> Verdict + use<> {
    let path = format!("/api/webhooks/{id}/{token}");
    move |request| {
        if request.uri.path() != path {
            return Err(refused("another webhook", 404, 10_015, "Unknown Webhook"));
        }
        if request.method != Method::POST {
            return Err(refused("not a POST", 405, 0, "405: Method Not Allowed"));
        }
        let message =
            object(request).map_err(|why| refused(&why, 400, 50_109, "The request body contains invalid JSON."))?;
        if ["content", "embeds"].iter().all(|name| message.get(*name).is_none_or(is_nothing)) {
            return Err(refused("nothing to show", 400, 50_006, "Cannot send an empty message"));
        }
        check(&message).map_err(|why| refused(&why, 400, 50_035, "Invalid Form Body"))?;
        Ok(Taken { message: Value::Object(message), answer: Answer::empty(204) })
    }
}

fn refused(why: &str, status: u16, code: u32, message: &str) -> Refused {
    Refused { why: why.to_owned(), answer: Answer::json(status, &json!({ "message": message, "code": code })) }
}

fn is_nothing(value: &Value) -> bool {
    value.as_str().is_some_and(str::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}

fn check(message: &Map<String, Value>) -> Result<(), String> {
    only(message, MESSAGE)?;
    text(message, "content", 2000)?;
    let name = text(message, "username", 80)?.unwrap_or_default().to_lowercase();
    if ["discord", "clyde", "```"].iter().any(|word| name.contains(word)) {
        return Err(format!("username: {name} is not allowed"));
    }
    if let Some(mentions) = message.get("allowed_mentions") {
        let mentions = inner(mentions, "allowed_mentions")?;
        only(mentions, &["parse", "roles", "users", "replied_user"])?;
        let words = mentions.get("parse").and_then(Value::as_array).ok_or("allowed_mentions.parse: no list")?;
        if words.iter().any(|word| !["roles", "users", "everyone"].contains(&word.as_str().unwrap_or_default())) {
            return Err(format!("allowed_mentions.parse: {words:?}"));
        }
    }
    let Some(embeds) = message.get("embeds") else { return Ok(()) };
    let embeds = embeds.as_array().filter(|embeds| embeds.len() <= 10).ok_or("embeds: no list of ten at most")?;
    let mut units = 0;
    for one in embeds {
        units += embed(inner(one, "embed")?)?;
    }
    if units > EMBEDS_UNITS { Err(format!("embeds: {units} together, of {EMBEDS_UNITS}")) } else { Ok(()) }
}

/// How long its texts are.
fn embed(fields: &Map<String, Value>) -> Result<usize, String> {
    only(fields, EMBED)?;
    integer(fields, "color", 0, 0x00ff_ffff)?;
    web_address(fields, "url", 2048)?;
    if let Some(at) = text(fields, "timestamp", 40)? {
        let is_one = at.len() >= 20 && at.is_ascii() && at.as_bytes()[4] == b'-' && at.as_bytes()[10] == b'T';
        is_one.then_some(()).ok_or_else(|| format!("timestamp: {at}"))?;
    }
    let (title, description) = (text(fields, "title", 256)?, text(fields, "description", 4096)?);
    let units = |text: &Option<String>| text.as_ref().map_or(0, |text| text.encode_utf16().count());
    Ok(units(&title) + units(&description))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receivers::samples::{json_posted, with};

    fn good() -> Value {
        json!({"username": "Holdfast", "allowed_mentions": {"parse": []}, "embeds": [{"title": "t", "description": "d",
            "color": 7, "timestamp": "2026-11-29T01:00:00+00:00", "url": "https://b.example/"}]})
    }

    #[test]
    fn a_good_message_is_taken_without_a_word_and_others_are_refused_as_discord_does() {
        let judge = judge("1", "tok");
        let taken = judge(&json_posted("/api/webhooks/1/tok", &good())).expect("taken");
        assert_eq!(taken.answer, Answer::empty(204));
        let code = |path: &str, body: &Value| {
            let refused = judge(&json_posted(path, body)).err().expect("refused");
            let body: Value = serde_json::from_str(&refused.answer.body).expect("JSON");
            (refused.answer.status, body["code"].as_i64().expect("a code"))
        };
        assert_eq!(code("/api/webhooks/1/other", &good()), (404, 10_015));
        assert_eq!(code("/api/webhooks/1/tok", &json!({"embeds": []})), (400, 50_006));
        for (pointer, bad) in [
            ("/username", json!("Discord bot")),
            ("/colour", json!(7)),
            ("/allowed_mentions/parse", json!(["here"])),
            ("/embeds/0/title", json!("x".repeat(257))),
            ("/embeds/0/description", json!("x".repeat(4097))),
            ("/embeds/0/color", json!("red")),
            ("/embeds/0/timestamp", json!("yesterday")),
            ("/embeds/0/url", json!("javascript:alert(1)")),
            ("/embeds/0/colour", json!(7)),
        ] {
            assert_eq!(code("/api/webhooks/1/tok", &with(good(), pointer, bad)), (400, 50_035), "{pointer}");
        }
        let form = crate::receivers::samples::posted("/api/webhooks/1/tok", "text/plain", &good().to_string());
        assert_eq!(judge(&form).err().expect("refused").answer.status, 400);
    }
}

//! Pushover: its message API, <https://pushover.net/api>.

use super::{Answer, Refused, Request, Taken, Verdict, content_type, integer, only, text, web_address};
use axum::http::Method;
use serde_json::{Map, Value, json};

const FIELDS: &[&str] =
    &["token", "user", "message", "title", "url", "url_title", "priority", "timestamp", "sound", "ttl"];
const REQUEST: &str = "647d2300-702c-4b38-8b2f-d56326ae460b";

/// As the service judges that knows the application `token` and the `user`.
pub fn judge(token: &str, user: &str) -> impl Fn(&Request) -> Verdict + use<> {
    let (token, user) = (token.to_owned(), user.to_owned());
    move |request| {
        if request.uri.path() != "/1/messages.json" || request.method != Method::POST {
            return Err(refused("another endpoint", 404, "request", "not found"));
        }
        if content_type(request) != "application/x-www-form-urlencoded" {
            return Err(refused(content_type(request), 400, "message", "cannot be blank"));
        }
        let mut fields = Map::new();
        for (name, value) in form_urlencoded::parse(&request.body).into_owned() {
            let number = ["priority", "timestamp", "ttl"].contains(&name.as_str()).then(|| value.parse::<i64>().ok());
            let value = number.flatten().map_or_else(|| json!(value), |number| json!(number));
            if fields.insert(name, value).is_some() {
                return Err(refused("a field twice", 400, "request", "is invalid"));
            }
        }
        if fields.get("token") != Some(&json!(token)) {
            return Err(refused("another token", 400, "token", "application token is invalid"));
        }
        if fields.get("user") != Some(&json!(user)) {
            let problem = "user identifier is not a valid user, group, or subscribed user key";
            return Err(refused("another user", 400, "user", problem));
        }
        check(&fields).map_err(|(name, why)| refused(&why, 400, name, "is invalid"))?;
        let answer = Answer::json(200, &json!({ "status": 1, "request": REQUEST }));
        Ok(Taken { message: Value::Object(fields), answer })
    }
}

fn refused(why: &str, status: u16, field: &str, problem: &str) -> Refused {
    let body = json!({ field: "invalid", "errors": [problem], "status": 0, "request": REQUEST });
    Refused { why: why.to_owned(), answer: Answer::json(status, &body) }
}

fn check(fields: &Map<String, Value>) -> Result<(), (&'static str, String)> {
    only(fields, FIELDS).map_err(|why| ("request", why))?;
    let message = limited(fields, "message", 1024)?;
    if message.is_none_or(|message| message.is_empty()) {
        return Err(("message", "message: blank".to_owned()));
    }
    limited(fields, "title", 250)?;
    limited(fields, "url_title", 100)?;
    limited(fields, "url", 512)?;
    web_address(fields, "url", 1024).map_err(|why| ("url", why))?;
    // 2 wants retry and expire, which nothing of ours sends.
    integer(fields, "priority", -2, 1).map_err(|why| ("priority", why))?;
    integer(fields, "timestamp", 0, 4_000_000_000).map_err(|why| ("timestamp", why))?;
    Ok(())
}

/// Pushover counts characters.
fn limited(
    fields: &Map<String, Value>,
    name: &'static str,
    most: usize,
) -> Result<Option<String>, (&'static str, String)> {
    let text = text(fields, name, 2 * most).map_err(|why| (name, why))?;
    let is_long = text.as_ref().is_some_and(|text| text.chars().count() > most);
    if is_long { Err((name, format!("{name}: longer than {most}"))) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receivers::samples::posted;

    fn sent(change: (&str, &str)) -> Request {
        let mut form = form_urlencoded::Serializer::new(String::new());
        let good = [("token", "tok"), ("user", "usr"), ("message", "m"), ("priority", "1"), ("timestamp", "7")];
        for (name, value) in good.into_iter().filter(|(name, _)| *name != change.0).chain([change]) {
            form.append_pair(name, value);
        }
        posted("/1/messages.json", "application/x-www-form-urlencoded", &form.finish())
    }

    #[test]
    fn a_good_message_has_status_1_and_others_are_refused_as_pushover_does() {
        let judge = judge("tok", "usr");
        let taken = judge(&sent(("title", "t"))).expect("taken");
        assert!(taken.answer.status == 200 && taken.answer.body.contains("\"status\":1"), "{:?}", taken.answer);
        let long = "ä".repeat(1025);
        for (change, says) in [
            (("token", "other"), "application token is invalid"),
            (("user", "other"), "user identifier"),
            (("message", ""), "\"message\":\"invalid\""),
            (("message", &long), "\"message\":\"invalid\""),
            (("title", &long[..502]), "\"title\":\"invalid\""),
            (("priority", "2"), "\"priority\":\"invalid\""),
            (("priority", "high"), "\"priority\":\"invalid\""),
            (("timestamp", "now"), "\"timestamp\":\"invalid\""),
            (("url", "b.example"), "\"url\":\"invalid\""),
            (("colour", "red"), "\"request\":"),
        ] {
            let answer = judge(&sent(change)).err().expect("refused").answer;
            assert!(answer.status == 400 && answer.body.contains(says), "{change:?}: {answer:?}");
            assert!(answer.body.contains("\"status\":0"), "{answer:?}");
        }
        assert!(judge(&posted("/1/messages.json", "application/json", "{}")).is_err());
    }
}

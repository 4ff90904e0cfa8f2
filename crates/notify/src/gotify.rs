//! Gotify: a message to an application of one's own server. Plain text; alarms come with a higher priority.
//! Form: <https://gotify.net/docs/pushmsg>.

use crate::error::DeliveryError;
use crate::http::{Post, below};
use crate::text::{Facts, Measure, Tone, cut};
use serde_json::json;
use url::Url;

/// The server has no limit; a phone's screen has.
const MESSAGE_CHARS: usize = 8_000;

pub(crate) fn post(
    server: &Url,
    token: &str,
    alarm_priority: Option<u8>,
    facts: &Facts,
) -> Result<Post, DeliveryError> {
    let priority = match facts.tone {
        Tone::Bad => alarm_priority.unwrap_or(8).min(10),
        Tone::Good | Tone::Plain => 4,
    };
    let mut extras = json!({ "client::display": { "contentType": "text/plain" } });
    if let Some(link) = &facts.link {
        extras["client::notification"] = json!({ "click": { "url": link } });
    }
    let message = cut(&facts.body(str::to_owned), Measure::Chars, MESSAGE_CHARS);
    let body = json!({ "title": facts.title, "message": message, "priority": priority, "extras": extras });
    Post::json(below(server, &["message"])?, &body).with_header("x-gotify-key", token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{hostile, long, whole};
    use serde_json::Value;

    #[test]
    fn a_message_has_priority_link_and_facts_and_the_token_is_no_part_of_the_address() {
        let server = Url::parse("https://push.example/gotify/").expect("a URL");
        let post = post(&server, "AbC", None, &Facts::of(&whole())).expect("a post");
        assert_eq!(post.url.as_str(), "https://push.example/gotify/message");
        assert_eq!(post.headers["x-gotify-key"], "AbC");
        let body: Value = serde_json::from_slice(&post.body).expect("JSON");
        assert_eq!(body["priority"], 8);
        assert_eq!(body["extras"]["client::notification"]["click"]["url"], "https://b.example/runs/7");
        assert_eq!(body["extras"]["client::display"]["contentType"], "text/plain");
    }

    #[test]
    fn no_label_is_markup() {
        let server = Url::parse("https://push.example/").expect("a URL");
        let post = post(&server, "AbC", None, &Facts::of(&hostile())).expect("a post");
        let body: Value = serde_json::from_slice(&post.body).expect("JSON");
        // Shown as it is.
        assert_eq!(body["extras"]["client::display"]["contentType"], "text/plain");
        let text = body["message"].as_str().expect("a text");
        assert!(text.contains("\nTask: @everyone <!channel> [x](http://evil) *b* <b> /start"), "{text}");
        assert!(
            !text.contains(['\r', '\u{202e}']) && !body["title"].as_str().expect("a text").contains('\n'),
            "{body}"
        );
    }

    #[test]
    fn a_message_stays_within_its_limit() {
        let server = Url::parse("https://push.example/").expect("a URL");
        let post = post(&server, "AbC", Some(10), &Facts::of(&long())).expect("a post");
        let body: Value = serde_json::from_slice(&post.body).expect("JSON");
        assert!(body["message"].as_str().expect("a text").chars().count() <= 8_000);
    }
}

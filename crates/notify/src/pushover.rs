//! Pushover: a push message to a user or group. Plain text; alarms come with high priority.
//! Form: <https://pushover.net/api>.

use crate::error::DeliveryError;
use crate::http::{Post, below};
use crate::text::{Facts, Measure, Tone, cut};
use url::Url;

const MESSAGE_CHARS: usize = 1024;
const TITLE_CHARS: usize = 250;
const URL_CHARS: usize = 512;

/// `token` is the application's, `user` the user's or group's key.
pub(crate) fn post(
    service: &Url,
    (token, user): (&str, &str),
    facts: &Facts,
    occurred_at_secs: i64,
) -> Result<Post, DeliveryError> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    let body = cut(&facts.body(str::to_owned), Measure::Chars, MESSAGE_CHARS);
    form.append_pair("token", token)
        .append_pair("user", user)
        .append_pair("title", &cut(&facts.title, Measure::Chars, TITLE_CHARS))
        // An empty message is refused.
        .append_pair("message", if body.is_empty() { &facts.title } else { &body })
        .append_pair("priority", if facts.tone == Tone::Bad { "1" } else { "0" })
        .append_pair("timestamp", &occurred_at_secs.to_string());
    if let Some(link) = facts.link.as_ref().filter(|link| Measure::Chars.of(link) <= URL_CHARS) {
        form.append_pair("url", link).append_pair("url_title", "Open in Holdfast");
    }
    let url = below(service, &["1", "messages.json"])?;
    Ok(Post::new(url, "application/x-www-form-urlencoded", form.finish().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{hostile, long, whole};
    use std::collections::BTreeMap;

    fn fields(facts: &Facts) -> BTreeMap<String, String> {
        let service = Url::parse("https://api.pushover.net/").expect("a URL");
        let post = post(&service, ("tok", "usr"), facts, 7).expect("a post");
        assert_eq!(post.url.as_str(), "https://api.pushover.net/1/messages.json");
        form_urlencoded::parse(&post.body).into_owned().collect()
    }

    #[test]
    fn a_message_has_priority_link_and_facts() {
        let sent = fields(&Facts::of(&whole()));
        let expected = [
            ("token", "tok"),
            ("user", "usr"),
            ("priority", "1"),
            ("timestamp", "7"),
            ("url", "https://b.example/runs/7"),
        ];
        for (name, value) in expected {
            assert_eq!(sent[name], value);
        }
        assert!(sent["message"].contains("Task: Nightly site\n") && !sent.contains_key("html"), "{sent:?}");
    }

    #[test]
    fn no_label_is_markup_or_a_field_of_its_own() {
        let sent = fields(&Facts::of(&hostile()));
        let names: Vec<_> = sent.keys().map(String::as_str).collect();
        assert_eq!(names, ["message", "priority", "timestamp", "title", "token", "url", "url_title", "user"]);
        assert!(sent["message"].contains("\nTask: @everyone <!channel> [x](http://evil) *b* <b> /start"), "{sent:?}");
        assert!(!sent["title"].contains(['\r', '\n', '\u{202e}']), "{sent:?}");
    }

    #[test]
    fn a_message_stays_within_its_limits() {
        let sent = fields(&Facts::of(&long()));
        assert!(sent["message"].chars().count() <= 1024 && sent["title"].chars().count() <= 250);
    }
}

//! Slack: an incoming webhook. `&`, `<` and `>` are escaped and Slack's markup is off, so that no label is a mention, a
//! link or bold. Forms: <https://api.slack.com/reference/messaging/attachments>.

use crate::error::DeliveryError;
use crate::http::{Post, address};
use crate::text::{Facts, Measure, Tone, cut};
use serde_json::{Value, json};

/// Before escaping, which makes five of one at most: 40,000 in the end, which is Slack's limit.
const BODY_CHARS: usize = 7_500;

pub(crate) fn post(url: &str, facts: &Facts, occurred_at_secs: i64) -> Result<Post, DeliveryError> {
    Ok(Post::json(address(url)?, &body(facts, occurred_at_secs)))
}

fn body(facts: &Facts, occurred_at_secs: i64) -> Value {
    let colour = match facts.tone {
        Tone::Good => "#2ea44f",
        Tone::Bad => "#d73a49",
        Tone::Plain => "#6a737d",
    };
    let title = escaped(&facts.title);
    let mut attachment = json!({
        "color": colour,
        "fallback": title,
        "text": escaped(&cut(&facts.body(str::to_owned), Measure::Chars, BODY_CHARS)),
        "mrkdwn_in": [],
        "ts": occurred_at_secs,
    });
    if let Some(link) = &facts.link {
        attachment["title"] = json!("Open in Holdfast");
        attachment["title_link"] = json!(link);
    }
    json!({ "text": title, "mrkdwn": false, "parse": "none", "link_names": false, "attachments": [attachment] })
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{hostile, long, whole};

    #[test]
    fn an_attachment_has_colour_link_and_facts() {
        let body = body(&Facts::of(&whole()), 7);
        let attachment = &body["attachments"][0];
        assert_eq!(attachment["title_link"], "https://b.example/runs/7");
        assert_eq!((attachment["color"].as_str(), attachment["ts"].as_i64()), (Some("#d73a49"), Some(7)));
        assert!(attachment["text"].as_str().expect("a text").contains("Task: Nightly site\nServer: web-1\n"));
    }

    #[test]
    fn no_label_is_a_mention_a_link_or_markup() {
        let body = body(&Facts::of(&hostile()), 7);
        let text = body.to_string();
        assert!(!text.contains("<!channel>") && !text.contains("<b>") && text.contains("&lt;!channel&gt;"), "{text}");
        assert_eq!((&body["mrkdwn"], &body["attachments"][0]["mrkdwn_in"]), (&json!(false), &json!([])));
    }

    #[test]
    fn a_text_stays_within_its_limit() {
        let mut message = long();
        message.lines = vec!["&".repeat(900); 90];
        let body = body(&Facts::of(&message), 7);
        let text = body["attachments"][0]["text"].as_str().expect("a text");
        assert!(text.chars().count() <= 40_000 && text.ends_with('…'), "{}", text.len());
    }
}

//! ntfy: a message to a topic, published as JSON, so that a title is a field and never a header. Plain text; alarms come
//! with a higher priority. Form: <https://docs.ntfy.sh/publish/#publish-as-json>.

use crate::error::DeliveryError;
use crate::http::Post;
use crate::text::{Facts, Measure, Tone, cut};
use serde_json::json;
use url::Url;

/// A longer one would become an attachment.
const MESSAGE_BYTES: usize = 4096;

/// To `topic` at `server`, with an access token where the server wants one.
pub(crate) fn post(
    server: &Url,
    (topic, token): (&str, Option<&str>),
    alarm_priority: Option<u8>,
    facts: &Facts,
) -> Result<Post, DeliveryError> {
    let (priority, tag) = match facts.tone {
        Tone::Bad => (alarm_priority.unwrap_or(4).clamp(1, 5), Some("warning")),
        Tone::Good => (3, Some("white_check_mark")),
        Tone::Plain => (3, None),
    };
    let message = cut(&facts.body(str::to_owned), Measure::Bytes, MESSAGE_BYTES);
    let mut body = json!({ "topic": topic, "title": facts.title, "message": message, "priority": priority });
    if let Some(tag) = tag {
        body["tags"] = json!([tag]);
    }
    if let Some(link) = &facts.link {
        body["click"] = json!(link);
    }
    let post = Post::json(server.clone(), &body);
    match token {
        Some(token) => post.with_header("authorization", &format!("Bearer {token}")),
        None => Ok(post),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{hostile, long, whole};
    use serde_json::Value;

    fn sent(facts: &Facts, alarm_priority: Option<u8>) -> Value {
        let server = Url::parse("https://ntfy.sh/").expect("a URL");
        let post = post(&server, ("backups", Some("tk_x")), alarm_priority, facts).expect("a post");
        assert_eq!(post.headers["authorization"], "Bearer tk_x");
        assert!(post.headers["authorization"].is_sensitive() && !post.headers.contains_key("title"));
        serde_json::from_slice(&post.body).expect("JSON")
    }

    #[test]
    fn a_message_has_priority_link_and_facts() {
        let body = sent(&Facts::of(&whole()), None);
        assert_eq!((body["priority"].as_i64(), body["click"].as_str()), (Some(4), Some("https://b.example/runs/7")));
        assert_eq!(body["title"], "Nightly site failed");
        assert_eq!(sent(&Facts::of(&whole()), Some(5))["priority"], 5);
    }

    #[test]
    fn a_message_stays_within_its_limit_and_is_no_markdown() {
        let body = sent(&Facts::of(&long()), None);
        assert!(body["message"].as_str().expect("a text").len() <= 4096);
        assert!(sent(&Facts::of(&hostile()), None).get("markdown").is_none());
    }
}

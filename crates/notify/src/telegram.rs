//! Telegram: a bot's message. Sent without `parse_mode`, so that no label is markup, and with every `@` and `/` that
//! Telegram would make a mention or a command of broken up. The bot's token stands in the address: no error and no log
//! line may carry that. Form: <https://core.telegram.org/bots/api#sendmessage>.

use crate::error::DeliveryError;
use crate::http::{Post, below};
use crate::text::{Facts, Measure, Tone, cut};
use serde_json::json;
use url::Url;

const TEXT_UNITS: usize = 4096;

pub(crate) fn post(service: &Url, bot_token: &str, chat_id: &str, facts: &Facts) -> Result<Post, DeliveryError> {
    let mark = match facts.tone {
        Tone::Good => "✅ ",
        Tone::Bad => "❗ ",
        Tone::Plain => "",
    };
    let title = format!("{mark}{}", inert(&facts.title));
    let mut text = cut(&format!("{title}\n\n{}", facts.body(inert)), Measure::Units, TEXT_UNITS);
    if let Some(link) = &facts.link {
        text = format!("{}\n\n{link}", cut(&text, Measure::Units, TEXT_UNITS - 2 - Measure::Units.of(link)));
    }
    let body = json!({
        "chat_id": chat_id,
        "text": text,
        "link_preview_options": { "is_disabled": true },
        "disable_notification": facts.tone == Tone::Good,
    });
    Ok(Post::json(below(service, &[&format!("bot{bot_token}"), "sendMessage"])?, &body))
}

/// Telegram finds mentions and commands by itself: an invisible character behind their first one ends that.
fn inert(text: &str) -> String {
    let text = text.replace('@', "@\u{200b}").replace(" /", " /\u{200b}");
    text.strip_prefix('/').map(|rest| format!("/\u{200b}{rest}")).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{hostile, long, whole};
    use serde_json::Value;

    fn sent(facts: &Facts) -> Value {
        let service = Url::parse("https://api.telegram.org/").expect("a URL");
        let post = post(&service, "1:A-b_c", "-100", facts).expect("a post");
        assert_eq!(post.url.as_str(), "https://api.telegram.org/bot1:A-b_c/sendMessage");
        serde_json::from_slice(&post.body).expect("JSON")
    }

    #[test]
    fn a_message_has_facts_and_link_and_no_markup() {
        let body = sent(&Facts::of(&whole()));
        let text = body["text"].as_str().expect("a text");
        assert!(
            text.starts_with("❗ Nightly site failed\n\n") && text.ends_with("\n\nhttps://b.example/runs/7"),
            "{text}"
        );
        assert!(body.get("parse_mode").is_none());
        let text = sent(&Facts::of(&hostile()))["text"].as_str().expect("a text").to_owned();
        assert!(!text.contains("@everyone") && !text.contains(" /start") && text.contains("<b>"), "{text}");
    }

    #[test]
    fn a_message_stays_within_its_limit() {
        let body = sent(&Facts::of(&long()));
        let text = body["text"].as_str().expect("a text");
        assert!(Measure::Units.of(text) <= 4096 && text.ends_with("/runs/7"), "{text}");
    }
}

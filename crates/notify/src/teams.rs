//! Microsoft Teams: a Workflows webhook ("When a Teams webhook request is received") takes a message with an Adaptive
//! Card. Labels stand in text runs, which know no markup. A message may have 28 KB.
//! Form: <https://learn.microsoft.com/connectors/teams/#microsoft-teams-webhook>.

use crate::error::DeliveryError;
use crate::http::{Post, address};
use crate::text::{Facts, Measure, Tone, cut};
use serde_json::{Value, json};

/// Of all values together; JSON makes two bytes of a quotation mark, and the card around them takes its own.
const VALUES_BYTES: usize = 8_000;

pub(crate) fn post(url: &str, facts: &Facts) -> Result<Post, DeliveryError> {
    Ok(Post::json(address(url)?, &body(facts)))
}

fn body(facts: &Facts) -> Value {
    let colour = match facts.tone {
        Tone::Good => "Good",
        Tone::Bad => "Attention",
        Tone::Plain => "Default",
    };
    let mut parts = vec![runs(vec![json!({
        "type": "TextRun", "text": facts.title, "weight": "Bolder", "size": "Medium", "color": colour
    })])];
    let mut left = VALUES_BYTES;
    let named = facts.named.iter().map(|(name, value)| (Some(*name), value));
    for (name, value) in named.chain(facts.lines.iter().map(|line| (None, line))) {
        let value = cut(value, Measure::Bytes, left);
        left = left.saturating_sub(value.len());
        let name = name.map(|name| json!({ "type": "TextRun", "text": format!("{name}: "), "weight": "Bolder" }));
        parts.push(runs(name.into_iter().chain([json!({ "type": "TextRun", "text": value })]).collect()));
        if left == 0 {
            break;
        }
    }
    let actions = facts.link.iter().map(|link| json!({ "type": "Action.OpenUrl", "title": "Open", "url": link }));
    let card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": parts,
        "actions": actions.collect::<Vec<_>>(),
    });
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card
        }]
    })
}

fn runs(inlines: Vec<Value>) -> Value {
    json!({ "type": "RichTextBlock", "inlines": inlines })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{hostile, long, whole};

    #[test]
    fn a_card_has_colour_link_and_facts() {
        let body = body(&Facts::of(&whole()));
        let card = &body["attachments"][0]["content"];
        assert_eq!(card["actions"][0]["url"], "https://b.example/runs/7");
        assert_eq!(card["body"][0]["inlines"][0]["color"], "Attention");
        assert_eq!(card["body"][2]["inlines"][0]["text"], "Task: ");
        assert_eq!(card["body"][2]["inlines"][1]["text"], "Nightly site");
    }

    #[test]
    fn every_text_stands_where_markup_means_nothing() {
        let body = body(&Facts::of(&hostile()));
        let parts = body["attachments"][0]["content"]["body"].as_array().expect("parts");
        assert!(parts.iter().all(|part| part["type"] == "RichTextBlock"), "{body}");
        assert!(!body.to_string().contains("msteams"), "mentions need an entity");
    }

    #[test]
    fn a_card_stays_within_its_limit() {
        let mut message = long();
        message.lines = vec!["\"".repeat(900); 90];
        assert!(body(&Facts::of(&message)).to_string().len() <= 28_000);
        message.lines = vec!["x".to_owned(); 500];
        assert!(body(&Facts::of(&message)).to_string().len() <= 28_000);
    }
}

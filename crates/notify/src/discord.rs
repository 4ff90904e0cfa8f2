//! Discord: an embed to a channel's webhook. Nobody is mentioned whatever a label says, and no label is markup.
//! Limits: <https://discord.com/developers/docs/resources/message#embed-object-embed-limits>.

use crate::error::DeliveryError;
use crate::http::{Post, address};
use crate::text::{Facts, Measure, Tone, cut};
use serde_json::{Value, json};

const TITLE_UNITS: usize = 256;
/// Title and description together stay below the 6000 of an embed.
const DESCRIPTION_UNITS: usize = 4096;

pub(crate) fn post(url: &str, facts: &Facts, occurred_at: &str) -> Result<Post, DeliveryError> {
    Ok(Post::json(address(url)?, &body(facts, occurred_at)))
}

fn body(facts: &Facts, occurred_at: &str) -> Value {
    let colour = match facts.tone {
        Tone::Good => 0x002e_a44f,
        Tone::Bad => 0x00d7_3a49,
        Tone::Plain => 0x006a_737d,
    };
    let named = facts.named.iter().map(|(name, value)| format!("**{name}:** {}", escaped(value)));
    let lines: Vec<String> = named.chain(facts.lines.iter().map(|line| escaped(line))).collect();
    let mut embed = json!({
        "title": cut(&escaped(&facts.title), Measure::Units, TITLE_UNITS),
        "description": cut(&lines.join("\n"), Measure::Units, DESCRIPTION_UNITS),
        "color": colour,
        "timestamp": occurred_at,
    });
    if let Some(link) = &facts.link {
        embed["url"] = json!(link);
    }
    json!({ "username": "Holdfast", "allowed_mentions": { "parse": [] }, "embeds": [embed] })
}

/// With a backslash before everything that Discord's markup is made of.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if c.is_ascii_punctuation() && !matches!(c, '.' | ',' | '/' | '\'' | '"' | ';' | '=' | '%' | '&' | '$' | '?') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{hostile, long, whole};

    #[test]
    fn an_embed_has_colour_link_and_facts() {
        let body = body(&Facts::of(&whole()), "2026-11-29T01:00:00Z");
        let embed = &body["embeds"][0];
        assert_eq!(
            (embed["color"].as_i64(), embed["url"].as_str()),
            (Some(0xd7_3a49), Some("https://b.example/runs/7"))
        );
        let text = embed["description"].as_str().expect("a text");
        assert!(text.contains("**Task:** Nightly site\n**Server:** web\\-1"), "{text}");
        assert!(text.contains("**Next run:** 2026\\-11\\-30 02\\:00 \\(Europe/Berlin\\)"), "{text}");
    }

    #[test]
    fn nobody_is_mentioned_and_no_label_is_markup() {
        let body = body(&Facts::of(&hostile()), "2026-11-29T01:00:00Z");
        assert_eq!(body["allowed_mentions"], json!({"parse": []}));
        let text = body["embeds"][0]["description"].as_str().expect("a text");
        assert!(text.contains("\\[x\\]\\(http\\://evil\\) \\*b\\* \\<b\\>"), "{text}");
    }

    #[test]
    fn an_embed_stays_within_its_limits() {
        let body = body(&Facts::of(&long()), "2026-11-29T01:00:00Z");
        let units = |name: &str| Measure::Units.of(body["embeds"][0][name].as_str().expect("a text"));
        assert!(units("title") <= 256 && units("description") <= 4096 && units("title") + units("description") <= 6000);
    }
}

//! Microsoft Teams: a Workflow's trigger "When a Teams webhook request is received",
//! <https://learn.microsoft.com/connectors/teams/#microsoft-teams-webhook>, which takes an Adaptive Card by the schema
//! <http://adaptivecards.io/schemas/adaptive-card.json>. The service itself answers 202 before it looks at the card, and a
//! bad one is lost inside the flow: here it is refused.

use super::{Answer, Refused, Request, Taken, Verdict, boolean, inner, object, only, text, web_address, word};
use axum::http::Method;
use serde_json::{Map, Value, json};

const MESSAGE_BYTES: usize = 28 * 1024;
const CARD: &[&str] = &["$schema", "type", "version", "body", "actions", "fallbackText", "msteams"];
const RUN: &[&str] = &["type", "text", "weight", "size", "color", "isSubtle", "italic", "strikethrough", "fontType"];
const COLOURS: &[&str] = &["default", "dark", "light", "accent", "good", "warning", "attention"];

/// As the workflow `id` with the signature `sig` judges.
pub fn judge(id: &str, sig: &str) -> impl Fn(&Request) -> Verdict + use<> {
    let path = format!("/workflows/{id}/triggers/manual/paths/invoke");
    let signature = format!("sig={sig}");
    move |request| {
        if request.uri.path() != path {
            return Err(refused("another workflow", 404, "WorkflowNotFound"));
        }
        if !request.uri.query().unwrap_or_default().split('&').any(|pair| pair == signature) {
            return Err(refused("not signed", 401, "DirectApiAuthorizationRequired"));
        }
        if request.method != Method::POST {
            return Err(refused("not a POST", 405, "MethodNotAllowed"));
        }
        if request.body.len() > MESSAGE_BYTES {
            return Err(refused(&format!("{} bytes", request.body.len()), 413, "RequestEntityTooLarge"));
        }
        let invalid = |why: String| refused(&why, 400, "TriggerInputSchemaMismatch");
        let message = object(request).map_err(invalid)?;
        check(&message).map_err(invalid)?;
        Ok(Taken { message: Value::Object(message), answer: Answer::empty(202) })
    }
}

fn refused(why: &str, status: u16, code: &str) -> Refused {
    let body = json!({ "error": { "code": code, "message": "The request was not accepted." } });
    Refused { why: why.to_owned(), answer: Answer::json(status, &body) }
}

fn is(fields: &Map<String, Value>, name: &str, value: &str) -> Result<(), String> {
    let found = fields.get(name);
    if found == Some(&json!(value)) { Ok(()) } else { Err(format!("{name}: not {value}: {found:?}")) }
}

fn list<'a>(fields: &'a Map<String, Value>, name: &str) -> Result<&'a Vec<Value>, String> {
    fields.get(name).and_then(Value::as_array).ok_or_else(|| format!("{name}: no list"))
}

fn check(message: &Map<String, Value>) -> Result<(), String> {
    only(message, &["type", "attachments"])?;
    is(message, "type", "message")?;
    let attachments = list(message, "attachments")?;
    if attachments.is_empty() {
        return Err("attachments: empty".to_owned());
    }
    for attachment in attachments {
        let attachment = inner(attachment, "attachment")?;
        only(attachment, &["contentType", "contentUrl", "content"])?;
        is(attachment, "contentType", "application/vnd.microsoft.card.adaptive")?;
        card(inner(attachment.get("content").unwrap_or(&Value::Null), "content")?)?;
    }
    Ok(())
}

fn card(fields: &Map<String, Value>) -> Result<(), String> {
    only(fields, CARD)?;
    is(fields, "type", "AdaptiveCard")?;
    is(fields, "$schema", "http://adaptivecards.io/schemas/adaptive-card.json")?;
    // Later ones are not shown in Teams.
    word(fields, "version", &["1.0", "1.1", "1.2", "1.3", "1.4", "1.5"])?;
    text(fields, "version", 3)?.ok_or("version: missing")?;
    let body = list(fields, "body")?;
    if body.is_empty() {
        return Err("body: empty".to_owned());
    }
    body.iter().try_for_each(|block| rich_text(inner(block, "block")?))?;
    for action in list(fields, "actions")? {
        let action = inner(action, "action")?;
        only(action, &["type", "title", "url"])?;
        is(action, "type", "Action.OpenUrl")?;
        text(action, "title", 100)?;
        web_address(action, "url", 2048)?;
        text(action, "url", 2048)?.ok_or("url: missing")?;
    }
    Ok(())
}

/// A `RichTextBlock`, the only element whose text knows no markup.
fn rich_text(fields: &Map<String, Value>) -> Result<(), String> {
    only(fields, &["type", "inlines", "horizontalAlignment", "separator", "spacing"])?;
    is(fields, "type", "RichTextBlock")?;
    let runs = list(fields, "inlines")?;
    if runs.is_empty() {
        return Err("inlines: empty".to_owned());
    }
    for run in runs {
        let run = inner(run, "run")?;
        only(run, RUN)?;
        is(run, "type", "TextRun")?;
        text(run, "text", MESSAGE_BYTES)?.ok_or("text: missing")?;
        word(run, "weight", &["lighter", "default", "bolder"])?;
        word(run, "size", &["default", "small", "medium", "large", "extraLarge"])?;
        word(run, "color", COLOURS)?;
        boolean(run, "isSubtle")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receivers::samples::{json_posted, with};

    const PATH: &str = "/workflows/7/triggers/manual/paths/invoke?api-version=1&sig=abc";

    fn good() -> Value {
        json!({"type": "message", "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null, "content": {"$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard", "version": "1.4",
                "body": [{"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": "t", "weight": "Bolder"}]}],
                "actions": [{"type": "Action.OpenUrl", "title": "Open", "url": "https://b.example/"}]}}]})
    }

    #[test]
    fn a_good_card_is_accepted_and_others_are_refused() {
        let judge = judge("7", "abc");
        let taken = judge(&json_posted(PATH, &good())).expect("taken");
        assert_eq!(taken.answer, Answer::empty(202));
        let status = |path: &str, body: &Value| judge(&json_posted(path, body)).err().expect("refused").answer.status;
        assert_eq!(status("/workflows/8/triggers/manual/paths/invoke?sig=abc", &good()), 404);
        assert_eq!(status("/workflows/7/triggers/manual/paths/invoke?sig=abcd", &good()), 401);
        for (pointer, bad) in [
            ("/type", json!("MessageCard")),
            ("/attachments", json!([])),
            ("/attachments/0/contentType", json!("application/json")),
            ("/attachments/0/content/version", json!("2.0")),
            ("/attachments/0/content/body/0/type", json!("RichText")),
            ("/attachments/0/content/body/0/inlines/0/color", json!("red")),
            ("/attachments/0/content/body/0/inlines/0/text", json!(7)),
            ("/attachments/0/content/body/0/inlines/0/colour", json!("Good")),
            ("/attachments/0/content/actions/0/url", json!("javascript:alert(1)")),
        ] {
            assert_eq!(status(PATH, &with(good(), pointer, bad)), 400, "{pointer}");
        }
        let long = with(good(), "/attachments/0/content/body/0/inlines/0/text", json!("x".repeat(28 * 1024)));
        assert_eq!(status(PATH, &long), 413);
    }
}

//! Any HTTPS address, signed by the Standard Webhooks specification: <https://www.standardwebhooks.com>. The same
//! message has the same `webhook-id` at every try. While a secret is changed, both sign.

use crate::error::{DeliveryCode, DeliveryError};
use crate::http::{Post, address};
use crate::text::{LINES_MAX, Measure, VALUE_CHARS, cut};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use hmac::{Hmac, Mac};
use holdfast_domain::notification::Message;
use serde_json::{Value, json};
use sha2::Sha256;

/// What a secret begins with; the rest is base64 of 24 to 64 bytes.
const SECRET_PREFIX: &str = "whsec_";

pub(crate) fn post<'a>(
    url: &str,
    secrets: impl IntoIterator<Item = &'a str>,
    message: &Message,
    now: DateTime<Utc>,
) -> Result<Post, DeliveryError> {
    let url = address(url)?;
    let body = body(message).to_string();
    let timestamp = now.timestamp().to_string();
    let signed = format!("{}.{timestamp}.{body}", message.id);
    let signatures: Result<Vec<String>, DeliveryError> =
        secrets.into_iter().map(|secret| signature(secret, signed.as_bytes())).collect();
    let signatures = signatures?.join(" ");
    if signatures.is_empty() {
        return Err(DeliveryError::last(DeliveryCode::InvalidTarget));
    }
    Post::new(url, "application/json", body.into_bytes())
        .with_header("webhook-id", &message.id)?
        .with_header("webhook-timestamp", &timestamp)?
        .with_header("webhook-signature", &signatures)
}

/// Every field of the message, null where it is absent: a program reads it. Texts and lists are cut where those of other
/// channels are, so that no message is refused for its size.
fn body(message: &Message) -> Value {
    let short = |text: &String| cut(text, Measure::Chars, VALUE_CHARS);
    let list = |texts: &[String]| texts.iter().take(LINES_MAX).map(short).collect::<Vec<_>>();
    json!({
        "type": message.event.map_or("message", |event| event.as_str()),
        "timestamp": utc(message.occurred_at),
        "data": {
            "id": message.id,
            "title": short(&message.title),
            "is_alarm": message.event.is_some_and(|event| event.is_alarm()),
            "team": short(&message.team),
            "task": message.task.as_ref().map(short),
            "server": message.server.as_ref().map(short),
            "destinations": list(&message.destinations),
            "state": message.state.as_ref().map(short),
            "reason": message.reason.as_ref().map(short),
            "size_bytes": message.size_bytes,
            "duration_ms": message.duration_ms,
            "next_run_at": message.next_run_at.map(utc),
            "timezone": message.timezone,
            "link": message.link,
            "lines": list(&message.lines),
        }
    })
}

fn utc(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

fn signature(secret: &str, signed: &[u8]) -> Result<String, DeliveryError> {
    let unusable = || DeliveryError::last(DeliveryCode::InvalidTarget);
    let key = secret.strip_prefix(SECRET_PREFIX).and_then(|text| STANDARD.decode(text).ok()).ok_or_else(unusable)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|_| unusable())?;
    mac.update(signed);
    Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{HOSTILE, hostile, long, whole};

    /// The example of the specification's own libraries.
    #[test]
    fn the_specifications_example_has_its_signature() {
        let signed = b"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{\"test\": 2432232314}";
        let signature = signature("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", signed).expect("a signature");
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn both_secrets_sign_and_none_is_no_webhook() {
        let secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"];
        let now = DateTime::from_timestamp(1_795_914_000, 0).expect("a time");
        let sent = post("https://h.example/x", secrets, &whole(), now).expect("a post");
        let header = sent.headers["webhook-signature"].to_str().expect("text");
        assert_eq!(header.split(' ').filter(|part| part.starts_with("v1,")).count(), 2, "{header}");
        assert_eq!(sent.headers["webhook-id"], "msg_7");
        assert_eq!(sent.headers["webhook-timestamp"], "1795914000");
        for bad in [vec![], vec!["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], vec!["whsec_%%"]] {
            let error = post("https://h.example/x", bad, &whole(), now).err().expect("no webhook");
            assert_eq!(error, DeliveryError::last(DeliveryCode::InvalidTarget));
        }
    }

    #[test]
    fn no_label_leaves_its_string_and_none_is_in_a_header() {
        let now = DateTime::from_timestamp(1_795_914_000, 0).expect("a time");
        let secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"];
        let sent = post("https://h.example/x", secrets, &hostile(), now).expect("a post");
        let body: Value = serde_json::from_slice(&sent.body).expect("JSON");
        assert_eq!((&body["data"]["task"], &body["type"]), (&json!(HOSTILE), &json!("failure")));
        assert!(!sent.body.contains(&b'\n') && !sent.body.contains(&b'\r'), "one line");
        assert!(sent.headers.values().all(|value| value.to_str().is_ok_and(|text| !text.contains("everyone"))));
    }

    #[test]
    fn a_body_has_everything_and_an_end() {
        let body = body(&whole());
        assert_eq!((&body["type"], &body["timestamp"]), (&json!("failure"), &json!("2026-11-29T01:00:00Z")));
        assert_eq!(body["data"]["destinations"], json!(["Garage: stored", "Attic: failed"]));
        assert_eq!((&body["data"]["size_bytes"], &body["data"]["is_alarm"]), (&json!(1_610_612_736_u64), &json!(true)));
        let long = super::body(&long());
        assert_eq!(long["data"]["lines"].as_array().map(Vec::len), Some(100));
        assert!(long.to_string().len() < 1_000_000, "{}", long.to_string().len());
    }
}

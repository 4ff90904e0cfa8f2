//! Messages and a notifier for tests over a real socket.

use chrono::{DateTime, Utc};
use holdfast_domain::notification::{EventKind, Message};
use holdfast_egress::{EgressDefault, EgressGuard};
use holdfast_notify::{Limits, Notifier, NotifierParts, Services};
use secrecy::SecretString;
use std::sync::Arc;
use std::time::Duration;

/// What somebody calls a task who means harm.
pub const HOSTILE: &str = "@everyone <!channel> [x](http://evil) *b* <b>\r\nBcc: v@x\r\n.\r\n\u{202e}txe";
/// The operator's bot, among others.
pub const SECRET: &str = "CANARYsecret0123456789abcdefgh";

/// One whose public services are all at `service`.
pub fn notifier(service: &str, allow: &[&str]) -> Notifier {
    let url: url::Url = service.parse().expect("a URL");
    Notifier::new(NotifierParts {
        guard: EgressGuard::new(EgressDefault::PublicOnly, allow.iter().map(|n| n.parse().expect("a range")).collect()),
        services: Services {
            pushover: url.clone(),
            telegram: url.clone(),
            ntfy: url,
            telegram_bot_token: Some(SecretString::from(SECRET)),
        },
        mailer: None,
        limits: Limits { connect: Duration::from_secs(1), total: Duration::from_secs(1) },
        now: Arc::new(Utc::now),
    })
    .expect("a notifier")
}

/// A failure in which every name is `text`.
pub fn message(text: &str) -> Message {
    Message {
        id: "msg_7".to_owned(),
        occurred_at: DateTime::from_timestamp(1_795_914_000, 0).expect("a time"),
        title: format!("{text} failed"),
        event: Some(EventKind::Failure),
        team: text.to_owned(),
        task: Some(text.to_owned()),
        server: Some(text.to_owned()),
        destinations: vec![text.to_owned(); 3],
        state: Some("failed".to_owned()),
        reason: Some(text.to_owned()),
        size_bytes: Some(7),
        duration_ms: Some(7_000),
        next_run_at: DateTime::from_timestamp(1_796_000_400, 0),
        timezone: "Europe/Berlin".to_owned(),
        link: Some("https://b.example/runs/7".to_owned()),
        lines: vec![text.to_owned()],
    }
}

//! Messages for the tests of the channels.

use chrono::DateTime;
use holdfast_domain::notification::{EventKind, Message};

/// Everything is known.
pub(crate) fn whole() -> Message {
    Message {
        id: "msg_7".to_owned(),
        occurred_at: DateTime::from_timestamp(1_795_914_000, 0).expect("a time"),
        title: "Nightly site failed".to_owned(),
        event: Some(EventKind::Failure),
        team: "Ann's team".to_owned(),
        task: Some("Nightly site".to_owned()),
        server: Some("web-1".to_owned()),
        destinations: vec!["Garage: stored".to_owned(), "Attic: failed".to_owned()],
        state: Some("failed".to_owned()),
        reason: Some("The destination is full.".to_owned()),
        size_bytes: Some(1_610_612_736),
        duration_ms: Some(184_000),
        next_run_at: DateTime::from_timestamp(1_796_000_400, 0),
        timezone: "Europe/Berlin".to_owned(),
        link: Some("https://b.example/runs/7".to_owned()),
        lines: vec![],
    }
}

/// What somebody calls a task who means harm.
pub(crate) const HOSTILE: &str = "@everyone <!channel> [x](http://evil) *b* <b> /start\r\nBcc: v@x\r\n.\r\n\u{202e}txe";

/// Hostile in every field.
pub(crate) fn hostile() -> Message {
    let text = HOSTILE.to_owned();
    Message {
        title: format!("{text} failed"),
        team: text.clone(),
        task: Some(text.clone()),
        server: Some(text.clone()),
        destinations: vec![text.clone(); 2],
        state: Some(text.clone()),
        reason: Some(text.clone()),
        timezone: text.clone(),
        lines: vec![text; 2],
        ..whole()
    }
}

/// 10 kB and more in every field.
pub(crate) fn long() -> Message {
    let text = "ä𝕏".repeat(2_000);
    Message {
        title: text.clone(),
        team: text.clone(),
        task: Some(text.clone()),
        server: Some(text.clone()),
        destinations: vec![text.clone(); 200],
        reason: Some(text.clone()),
        lines: vec![text; 200],
        ..whole()
    }
}

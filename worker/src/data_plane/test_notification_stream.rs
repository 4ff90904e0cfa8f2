//! Whether a notification stream takes a message.

use super::check_answer::{answer, failed, passed};
use super::refusal::Refusal;
use crate::context::WorkerContext;
use crate::stream_target::open_stream;
use axum::response::Response;
use holdfast_domain::ids::NotificationStreamId;
use holdfast_domain::notification::Message;
use holdfast_notify::{DeliveryCode, DeliveryError};
use holdfast_store::{Access, rows};
use std::time::Instant;

/// Sends a test message: `{"ok":bool,"steps":[…]}`.
///
/// # Errors
/// Unknown stream.
pub async fn test_notification_stream(
    context: &WorkerContext,
    access: &Access,
    id: NotificationStreamId,
) -> Result<Response, Refusal> {
    let tx = context.store.for_team(access).await?;
    let row = tx.notification_streams().find(id).await?;
    let team = tx.sealed().team().await?;
    tx.commit().await?;
    let row = row.ok_or_else(Refusal::not_found)?;
    let target = match open_stream(context, &row) {
        Ok(target) => target,
        Err(error) => return Ok(answer(&[failed("open", error.to_string())])),
    };
    let begun = Instant::now();
    let sent = context.notifier.deliver(&target, &message(context, team.name, &row)).await;
    if matches!(sent, Err(DeliveryError { code: DeliveryCode::Unreachable, .. })) {
        // How long it took would tell a closed port from a filtered one.
        tokio::time::sleep(context.notifier.limits().total.saturating_sub(begun.elapsed())).await;
    }
    let opened = passed("open", "The stream's address and keys are there.");
    Ok(match sent {
        Ok(()) => answer(&[opened, passed("send", "The receiver took a test message.")]),
        Err(error) => answer(&[opened, failed("send", error.to_string())]),
    })
}

fn message(context: &WorkerContext, team: String, row: &rows::notification_streams::Model) -> Message {
    Message {
        id: format!("test_{}", uuid::Uuid::new_v4().simple()),
        occurred_at: context.clock.now(),
        title: "Test message from Holdfast".to_owned(),
        event: None,
        team,
        task: None,
        server: None,
        destinations: Vec::new(),
        state: None,
        reason: None,
        size_bytes: None,
        duration_ms: None,
        next_run_at: None,
        timezone: "UTC".to_owned(),
        link: context.config.http.public_url.as_ref().map(ToString::to_string),
        lines: vec![format!("The notification stream {} works.", row.label)],
    }
}

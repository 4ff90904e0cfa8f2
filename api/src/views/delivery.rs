//! A delivery.

use super::time;
use holdfast_domain::notification::Message;
use holdfast_store::rows;
use serde::Serialize;
use utoipa::ToSchema;

/// Every state, as `filter[state]` takes it.
pub const STATES: &[&str] = &["pending", "sending", "sent", "dead", "suppressed", "summarised"];

/// One message on its way to one receiver.
#[derive(Serialize, ToSchema)]
pub struct DeliveryView {
    id: i64,
    /// `pending` waits for its next try, `sending` is being sent, `sent` was taken by the receiver, `dead` will not be tried
    /// again, `suppressed` fell into quiet mode, `summarised` was kept back by the team's limit and is told in a summary.
    state: String,
    /// What happened: `failure`, `overdue`, …; null for a summary or a digest.
    #[schema(required)]
    event: Option<String>,
    /// The stream it goes to; null where it goes to a person or to the task's ping address.
    #[schema(required)]
    notification_stream_id: Option<i64>,
    /// The person it goes to by mail; null where it goes to a stream or to the task's ping address.
    #[schema(required)]
    user_id: Option<i64>,
    /// `start`, `success`, `fail`: what the task's ping address is told; null of everything else.
    #[schema(required)]
    ping: Option<String>,
    /// The task it is about.
    #[schema(required)]
    backup_task_id: Option<i64>,
    /// The same at every try, and for every receiver: a webhook's `webhook-id`.
    message_id: String,
    message: DeliveryMessageView,
    /// Tries since it was last asked for.
    attempts: i32,
    /// Why the last try failed.
    #[schema(required)]
    error_code: Option<String>,
    /// The same as a sentence.
    #[schema(required)]
    error_message: Option<String>,
    /// The delivery of the summary that tells of it.
    #[schema(required)]
    summary_id: Option<i64>,
    /// Of one that is `pending`: not tried before.
    #[schema(required)]
    next_attempt_at: Option<String>,
    created_at: String,
    #[schema(required)]
    sent_at: Option<String>,
}

/// What a message says; null is not said.
#[derive(Serialize, ToSchema)]
#[schema(as = DeliveryMessage)]
struct DeliveryMessageView {
    /// Its one line.
    title: String,
    /// The task's label then.
    #[schema(required)]
    task: Option<String>,
    /// The server's label then.
    #[schema(required)]
    server: Option<String>,
    /// The destinations, each with what became of it.
    destinations: Vec<String>,
    /// The run's state.
    #[schema(required)]
    state: Option<String>,
    /// Why, in one sentence.
    #[schema(required)]
    reason: Option<String>,
    /// Stored bytes.
    #[schema(required)]
    size_bytes: Option<u64>,
    /// How long the run took.
    #[schema(required)]
    duration_ms: Option<u64>,
    /// When the task runs next.
    #[schema(required)]
    next_run_at: Option<String>,
    /// More lines, of a summary.
    lines: Vec<String>,
}

impl DeliveryView {
    /// The view of `row`.
    #[must_use]
    pub fn of(row: rows::deliveries::Model) -> Self {
        let message = serde_json::from_value(row.message).unwrap_or_else(|error| {
            // A row of another version: what it says stays empty rather than the whole list failing.
            tracing::error!(delivery = row.id, %error, "unreadable message");
            None
        });
        Self {
            message: DeliveryMessageView::of(message),
            next_attempt_at: (row.state == "pending").then(|| time::utc(row.not_before)),
            id: row.id,
            state: row.state,
            event: row.event,
            notification_stream_id: row.notification_stream_id,
            user_id: row.user_id,
            ping: row.ping,
            backup_task_id: row.backup_task_id,
            message_id: row.message_id,
            attempts: row.attempts,
            error_code: row.error_code,
            error_message: row.error_message,
            summary_id: row.summary_id,
            created_at: time::utc(row.created_at),
            sent_at: time::utc_or_null(row.sent_at),
        }
    }
}

impl DeliveryMessageView {
    fn of(message: Option<Message>) -> Self {
        let message = message.as_ref();
        let text = |of: fn(&Message) -> &Option<String>| message.and_then(|message| of(message).clone());
        Self {
            title: message.map(|message| message.title.clone()).unwrap_or_default(),
            task: text(|message| &message.task),
            server: text(|message| &message.server),
            destinations: message.map(|message| message.destinations.clone()).unwrap_or_default(),
            state: text(|message| &message.state),
            reason: text(|message| &message.reason),
            size_bytes: message.and_then(|message| message.size_bytes),
            duration_ms: message.and_then(|message| message.duration_ms),
            next_run_at: time::utc_or_null(message.and_then(|message| message.next_run_at)),
            lines: message.map(|message| message.lines.clone()).unwrap_or_default(),
        }
    }
}

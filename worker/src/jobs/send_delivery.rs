//! One try of one delivery: claimed, opened, sent, noted. A message that a worker sent and could not note is sent again
//! with the same id, so it may come twice, and never not at all. Nothing here may change what a message tells of.

use crate::context::WorkerContext;
use crate::stream_target::{open_ping_url, open_stream};
use holdfast_domain::Limit;
use holdfast_domain::ids::DeliveryId;
use holdfast_domain::notification::Message;
use holdfast_notify::{DeliveryCode, DeliveryError, Retry, Target};
use holdfast_store::repositories::deliveries::{ClaimRule, ClaimedDelivery, DeliveryVerdict, Receiver};
use holdfast_store::{Access, StoreError};
use std::sync::Arc;
use std::time::Duration;

/// Longer than any channel may take (mail: 30 s), with room to note what came of it.
const LEASE: Duration = Duration::from_secs(90);
/// A channel that takes longer is given up.
const TRY_LIMIT: Duration = Duration::from_secs(60);
/// With these pauses the last try comes more than nine hours after the first.
const ATTEMPTS_MAX: i32 = 8;
/// Before the second try; each further pause is four times as long …
const PAUSE_SECS: f64 = 15.0;
/// … up to this.
const PAUSE_MAX_SECS: f64 = 4.0 * 3600.0;

/// A ping behind another one of its task looks again so soon.
const WAIT_SECS: f64 = 1.0;

/// Sends a message, if it may be claimed.
pub async fn send_delivery(context: Arc<WorkerContext>, id: DeliveryId) {
    if let Err(error) = try_once(&context, id).await {
        tracing::warn!(delivery = %id, ?error, "a delivery waits for its next try");
    }
}

async fn try_once(context: &WorkerContext, id: DeliveryId) -> Result<(), StoreError> {
    let rule = ClaimRule {
        lease_secs: LEASE.as_secs_f64(),
        max_attempts: ATTEMPTS_MAX,
        usual_per_hour: context.usual_limit(Limit::NotificationsPerHour),
    };
    let Some(claimed) = context.store.claim_delivery(id, &context.name, rule).await? else { return Ok(()) };
    if claimed.verdict == DeliveryVerdict::Over {
        tracing::info!(delivery = %id, "a message is not sent: quiet mode, the team's limit, or no try is left");
        return Ok(());
    }
    let access = Access::system(claimed.team_id, "send a delivery");
    let tx = context.store.for_team(&access).await?;
    if claimed.verdict == DeliveryVerdict::Wait {
        tx.deliveries().look_again(id, claimed.epoch, WAIT_SECS).await?;
        return tx.commit().await;
    }
    let Some(row) = tx.deliveries().find(id).await? else { return Ok(()) };
    let receiver = tx.deliveries().receiver(&row).await?;
    let message = tx.deliveries().message_of(&row)?;
    // No transaction is open while a receiver is spoken to.
    tx.commit().await?;
    let sent = deliver(context, receiver, linked(context, message)).await;
    let tx = context.store.for_team(&access).await?;
    let held = match sent {
        Ok(()) => tx.deliveries().sent(id, claimed.epoch).await?,
        Err(error) => {
            let pause = pause_secs(claimed, error.retry, context.random.bits());
            tracing::info!(delivery = %id, attempt = claimed.attempt, code = error.code.as_str(), ?pause, "not delivered");
            let why = (error.code.as_str(), error.code.sentence());
            tx.deliveries().failed(id, claimed.epoch, why, pause).await?
        }
    };
    if !held {
        tracing::warn!(delivery = %id, "the claim on a delivery was lost while it was sent");
    }
    tx.commit().await
}

async fn deliver(context: &WorkerContext, receiver: Receiver, message: Message) -> Result<(), DeliveryError> {
    let target = match receiver {
        Receiver::Stream(row) => open_stream(context, &row)?,
        Receiver::Mail(to) => Target::Email { to },
        Receiver::Ping(task, ping) => Target::Ping { url: open_ping_url(context, &task)?, ping },
        Receiver::Gone => return Err(DeliveryError::last(DeliveryCode::InvalidTarget)),
    };
    let sending = context.notifier.deliver(&target, &message);
    let late = DeliveryError::passing(DeliveryCode::Unreachable, None);
    tokio::time::timeout(TRY_LIMIT, sending).await.unwrap_or(Err(late))
}

/// The outbox knows paths; the installation's address stands in front of them here.
fn linked(context: &WorkerContext, message: Message) -> Message {
    let base = context.config.http.public_url.as_ref().map(ToString::to_string);
    let link = base.zip(message.link.as_ref()).map(|(base, path)| format!("{}{path}", base.trim_end_matches('/')));
    Message { link, ..message }
}

/// None: no further try.
fn pause_secs(claimed: ClaimedDelivery, retry: Retry, bits: u64) -> Option<f64> {
    let Retry::Retry { after } = retry else { return None };
    if claimed.attempt >= ATTEMPTS_MAX {
        return None;
    }
    let exponent = claimed.attempt.clamp(1, ATTEMPTS_MAX) - 1;
    // A fifth more or less, so that the messages of one outage do not come back all at once.
    let jitter = 0.8 + 0.4 * (bits % 1000) as f64 / 1000.0;
    let pause = (PAUSE_SECS * 4_f64.powi(exponent)).min(PAUSE_MAX_SECS) * jitter;
    Some(pause.max(after.map_or(0.0, |after| after.as_secs_f64())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_domain::ids::TeamId;

    fn pause(attempt: i32, retry: Retry) -> Option<f64> {
        let verdict = DeliveryVerdict::Send;
        pause_secs(ClaimedDelivery { team_id: TeamId(1), epoch: 9, attempt, verdict }, retry, 500)
    }

    #[test]
    fn pauses_grow_and_a_receiver_may_ask_for_longer_ones() {
        let passing = Retry::Retry { after: None };
        let pauses: Vec<_> = (1..=8).map(|attempt| pause(attempt, passing).map(f64::round)).collect();
        let expected = [15.0, 60.0, 240.0, 960.0, 3840.0, 14400.0, 14400.0].map(Some);
        assert_eq!(pauses, [&expected[..], &[None]].concat());
        let asked = Retry::Retry { after: Some(Duration::from_secs(600)) };
        assert_eq!(pause(1, asked), Some(600.0));
        assert_eq!(pause(4, asked).map(f64::round), Some(960.0));
        assert_eq!(pause(1, Retry::Final), None);
    }
}

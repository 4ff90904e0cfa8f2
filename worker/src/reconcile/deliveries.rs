//! Messages that nobody works on: put on the queue again. With this each is sent or dead at last, whatever happened to its
//! worker or to the queue. And summaries of those that the team's limit kept back.

use super::stray_runs::{QUEUED_SECS, bucket};
use crate::context::WorkerContext;
use holdfast_domain::notification::{EventKind, Message};
use holdfast_domain::telling::About;
use holdfast_store::queue::{self, Job};
use holdfast_store::repositories::deliveries::Spared;
use holdfast_store::{Access, StoreError, rows};
use std::collections::BTreeMap;

/// Deliveries and summaries of one round.
const AT_MOST: i32 = 200;
/// So long messages are gathered for a summary; the next one of the same receiver follows an hour later at the earliest.
const GATHER_SECS: f64 = 300.0;

/// One round.
///
/// # Errors
/// The database failed; what was done stays done.
pub async fn reconcile(context: &WorkerContext) -> Result<(), StoreError> {
    for (team_id, id, epoch) in context.store.stray_deliveries(QUEUED_SECS, AT_MOST).await? {
        let tx = context.store.for_team(&Access::system(team_id, "stray deliveries")).await?;
        queue::nudge(&tx, Job::SendDelivery(id, epoch + 1), bucket(context)).await?;
        tx.commit().await?;
    }
    for spared in context.store.summaries_due(GATHER_SECS, AT_MOST).await? {
        summarise(context, spared).await?;
    }
    Ok(())
}

async fn summarise(context: &WorkerContext, to: Spared) -> Result<(), StoreError> {
    let tx = context.store.for_team(&Access::system(to.team_id, "summaries")).await?;
    // Locked: another worker that comes at the same time finds nothing.
    let untold = tx.deliveries().untold(to).await?;
    let Some(first) = untold.first() else { return Ok(()) };
    let mut message = tx.outbox().message(About::Team, format!("summary_{}", first.id)).await?;
    message.title = match untold.len() {
        1 => "1 more event".to_owned(),
        count => format!("{count} more events"),
    };
    message.reason = Some("So many came within an hour that they are told together.".to_owned());
    message.lines = lines(&untold);
    tx.deliveries().add_summary(to, &message, &untold).await?;
    tx.commit().await
}

/// One line a title with how often it came, the most frequent first.
fn lines(untold: &[rows::deliveries::Model]) -> Vec<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for row in untold {
        let title = serde_json::from_value::<Message>(row.message.clone()).map(|message| message.title);
        let event = || row.event.as_deref().and_then(EventKind::parse).map_or("an event", EventKind::human).to_owned();
        *counts.entry(title.unwrap_or_else(|_| event())).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by(|(a, n), (b, m)| m.cmp(n).then_with(|| a.cmp(b)));
    let line = |(title, count)| if count == 1 { title } else { format!("{title} ({count} times)") };
    counts.into_iter().map(line).collect()
}

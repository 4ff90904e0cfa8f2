//! Accounts that are being deleted: whatever of theirs still lies at a destination is marked, the prune job deletes it by
//! record, and once nothing is left the rows go. And suspensions whose time is over.

use crate::context::WorkerContext;
use holdfast_domain::ids::{TeamId, UserId};
use holdfast_store::{Access, StoreError};
use serde_json::json;

/// Accounts of one round.
const AT_MOST: i32 = 20;

/// One round.
///
/// # Errors
/// The database failed; what was done stays done.
pub async fn reconcile(context: &WorkerContext) -> Result<(), StoreError> {
    for (user, team) in context.store.due_suspensions(AT_MOST).await? {
        lift(context, user, team.unwrap_or(TeamId(0))).await?;
    }
    for (user, team) in context.store.closing_accounts(AT_MOST).await? {
        close(context, user, team.unwrap_or(TeamId(0))).await?;
    }
    Ok(())
}

async fn lift(context: &WorkerContext, user: UserId, team: TeamId) -> Result<(), StoreError> {
    let tx = context.store.for_team(&Access::system(team, "the suspension is over")).await?;
    if tx.lift_due_suspension(user).await? {
        if team != TeamId(0) {
            tx.audit_events().record("user.unsuspend", &format!("users:{user}"), json!({})).await?;
        }
        tracing::info!(%user, "a suspension is over");
    }
    tx.commit().await
}

async fn close(context: &WorkerContext, user: UserId, team: TeamId) -> Result<(), StoreError> {
    let tx = context.store.for_team(&Access::system(team, "the account is being deleted")).await?;
    for task in tx.retention().tasks_to_empty().await? {
        tx.retention().lock(task).await?;
        let going = tx.retention().copies(task).await?.all_unread();
        if !going.is_empty() {
            tx.retention().delete(&going).await?;
            tx.prunes().request(task, None).await?;
        }
    }
    if tx.operator().remove_account(user).await? {
        tracing::info!(%user, "a closed account and its team are gone");
    }
    tx.commit().await
}

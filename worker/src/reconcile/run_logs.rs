//! Logs of runs beyond their age, and beyond what a team may keep (`run_logs`). The runs stay.

use crate::context::WorkerContext;
use holdfast_store::StoreError;

/// Of one statement.
const AT_ONCE: i32 = 500;
/// Of one round.
const TIMES: usize = 20;

/// One round.
///
/// # Errors
/// The database failed; what was removed stays removed.
pub async fn reconcile(context: &WorkerContext) -> Result<(), StoreError> {
    let rule = &context.config.run_logs;
    let most = i64::try_from(rule.team_max_bytes).unwrap_or(i64::MAX);
    for _ in 0..TIMES {
        let removed = context.store.purge_run_logs(rule.max_age.as_secs_f64(), most, AT_ONCE).await?;
        if removed > 0 {
            tracing::info!(removed, "old logs of runs were removed");
        }
        if removed < i64::from(AT_ONCE) {
            break;
        }
    }
    Ok(())
}

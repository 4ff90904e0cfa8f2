//! The team's limits where a handler creates something.

use crate::problem::Problem;
use crate::state::ApiState;
use holdfast_domain::Limit;
use holdfast_store::TeamTx;
use holdfast_store::repositories::task_timing::TaskTiming;
use holdfast_store::repositories::team_limits::LimitReached;

/// Whether the team may have one more of what `limit` counts. To be asked in the transaction that creates it, before any
/// row is locked.
///
/// # Errors
/// 409 `limit_reached`.
pub(crate) async fn take(state: &ApiState, tx: &TeamTx, limit: Limit) -> Result<(), Problem> {
    tx.team_limits().take(limit, state.team_limits()).await?.map_err(Problem::limit_reached)
}

/// Whether a task's scheduled runs lie as far apart as the team's limit says.
///
/// # Errors
/// 409 `limit_reached`.
pub(crate) async fn interval(state: &ApiState, tx: &TeamTx, timing: &TaskTiming) -> Result<(), Problem> {
    let limit = Limit::MinIntervalSecs;
    let Some(allowed) = tx.team_limits().allowed(state.team_limits()).await?.of(limit) else { return Ok(()) };
    let shortest = timing.schedule().ok().and_then(|schedule| schedule.shortest_gap(state.now()));
    let is_too_often = shortest.is_some_and(|gap| u64::try_from(gap.num_seconds()).unwrap_or(0) < allowed);
    if is_too_often { Err(Problem::limit_reached(LimitReached { limit, allowed })) } else { Ok(()) }
}

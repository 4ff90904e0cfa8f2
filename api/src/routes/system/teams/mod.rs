//! Teams of the installation and their limits, for those who run it.

pub mod list;
pub mod set_limits;

use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::person::TeamView;
use crate::views::team_limits::TeamLimitsView;
use holdfast_domain::ids::TeamId;
use holdfast_store::TeamTx;
use holdfast_store::operator::TeamRow;

/// A team with its usage, counted as the team itself; the transaction goes on in that team.
async fn view(state: &ApiState, tx: TeamTx, row: TeamRow) -> Result<(TeamTx, TeamView), Problem> {
    let tx = tx.into_team_of_operator(TeamId(row.team_id)).await?;
    let limits = tx.team_limits();
    let allowed = limits.allowed(state.team_limits()).await?;
    let used = limits.all_used().await?;
    Ok((tx, TeamView::of(row, TeamLimitsView::of(&allowed, &used))))
}

//! People of the installation, for those who run it.

pub mod create;
pub mod delete;
pub mod list;
pub mod show;
pub mod suspend;
pub mod unsuspend;

use crate::extract::id::found;
use crate::problem::Problem;
use crate::views::person::PersonView;
use axum::http::StatusCode;
use holdfast_domain::ids::{TeamId, UserId};
use holdfast_store::operator::{PersonRow, Refused};
use holdfast_store::{Changes, StoreError, TeamTx};
use serde_json::Value;

/// Why nothing was done.
pub(in crate::routes) fn problem(refused: Refused) -> Problem {
    match refused {
        Refused::Absent => Problem::not_found("User"),
        Refused::Myself => Problem::conflict("own_account", "This is your own account."),
        Refused::Suspended => Problem::conflict("already_suspended", "The user is suspended already."),
        Refused::LastOperator => Problem::conflict(
            "last_operator",
            "Nobody would be left who runs the installation. Make another operator first.",
        ),
        Refused::Forbidden => {
            Problem::new(StatusCode::FORBIDDEN, "operators_only", "This is for those who run the installation.")
        }
    }
}

/// The person, or the 404.
async fn show(tx: &TeamTx, id: UserId) -> Result<PersonView, Problem> {
    Ok(PersonView::of(show_row(tx, id).await?))
}

/// The person as stored, or the 404.
async fn show_row(tx: &TeamTx, id: UserId) -> Result<PersonRow, Problem> {
    found::<UserId, _>(tx.operator().person(id).await?)
}

/// Tells both audit logs of an operator's act, and commits it.
pub(in crate::routes) async fn tell_both(
    tx: TeamTx,
    team: Option<TeamId>,
    (action, subject): (&str, &str),
    changes: Changes,
    (own, theirs): (Value, Value),
) -> Result<(), StoreError> {
    tx.audit_events().record_change(action, subject, changes.clone(), own).await?;
    match team.filter(|team| *team != tx.team_id()) {
        Some(team) => {
            let tx = tx.into_team_of_operator(team).await?;
            tx.audit_events().record_change(action, subject, changes, theirs).await?;
            tx.commit().await
        }
        None => tx.commit().await,
    }
}

//! `DELETE /api/account`
//!
//! No row goes while an object of it may lie at a destination: an account that has backups is closed first, the workers
//! delete what it has by record, and then its rows go.

use crate::extract::{Authorized, OurBody, may};
use crate::problem::Problem;
use crate::routes::ssh_key::show::authorized_keys_line;
use crate::routes::system::users::problem;
use crate::state::ApiState;
use crate::validation::Presence;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use holdfast_store::TeamTx;
use holdfast_store::operator::Holdings;
use holdfast_store::repositories::PageRequest;
use holdfast_store::repositories::remote_servers::ServerFilter;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

/// Servers named in an answer.
const NAMED_MAX: u64 = 1_000;

/// What goes with the account.
#[derive(ToSchema)]
#[schema(as = AccountDeletion)]
#[expect(dead_code, reason = "read field by field; the struct is its description")]
pub(crate) struct Body {
    /// The account's own e-mail address.
    confirm: String,
    /// Backups too, at every destination. Without it an account that has backups is not deleted.
    delete_backups: Option<bool>,
}

/// The account is gone, or going.
#[derive(Serialize, ToSchema)]
pub struct AccountDeleted {
    message: &'static str,
    /// Lines that stay in the `authorized_keys` of servers: nothing is connected to remove them.
    keys_left_behind: Vec<KeyLeftBehind>,
}

/// A line to be removed by hand.
#[derive(Serialize, ToSchema)]
pub struct KeyLeftBehind {
    /// `user@host:port`
    server: String,
    /// The line.
    line: String,
}

/// What an account has, as an answer counts it; none where it has nothing.
pub(in crate::routes) fn counts(holdings: &Holdings) -> Option<Value> {
    let Holdings { remote_servers, backup_destinations, backup_tasks, backups, objects } = *holdings;
    let has_any = [remote_servers, backup_destinations, backup_tasks, backups, objects].iter().any(|n| *n > 0);
    has_any.then(|| {
        json!({"remote_servers": remote_servers, "backup_destinations": backup_destinations,
            "backup_tasks": backup_tasks, "backups": backups, "objects": objects})
    })
}

pub(in crate::routes) fn deleted(
    is_gone: bool,
    keys_left_behind: Vec<KeyLeftBehind>,
) -> (StatusCode, Json<AccountDeleted>) {
    let (status, message) = if is_gone {
        (StatusCode::OK, "Account successfully deleted")
    } else {
        (StatusCode::ACCEPTED, "The account is closed. It is deleted as soon as its backups are.")
    };
    (status, Json(AccountDeleted { message, keys_left_behind }))
}

/// Deletes the caller's account with its team: definitions, log, tokens. While there are backups: 409 with counts, unless
/// `delete_backups` is true; then the account is closed at once, and goes when the workers have deleted them (202).
#[utoipa::path(delete, path = "/api/account", tag = "account", request_body = Body,
    responses((status = 200, body = AccountDeleted), (status = 202, body = AccountDeleted),
        (status = 409, body = crate::problem::ProblemBody), (status = 422, body = crate::problem::ProblemBody)))]
pub async fn delete_account(
    State(state): State<ApiState>,
    auth: Authorized<may::Session>,
    OurBody(mut fields): OurBody,
) -> Result<(StatusCode, Json<AccountDeleted>), Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let confirm = fields.string("confirm", Presence::Required);
    let takes_backups = fields.boolean("delete_backups", Presence::Optional).unwrap_or(false);
    fields.refuse_unknown();
    let email = tx.users().find(auth.user_id).await?.map(|user| user.email);
    if confirm.is_some() && confirm != email {
        fields.fail("confirm", "The confirm field must be your e-mail address.");
    }
    fields.finish()?;
    let holdings = tx.operator().holdings(auth.user_id).await?;
    if let Some(counts) = counts(&holdings).filter(|_| holdings.backups > 0 && !takes_backups) {
        let message = "The account has backups. Export or restore what you need, then repeat with delete_backups.";
        return Err(Problem::in_use(message.to_owned(), counts));
    }
    let keys = keys(&tx).await?;
    tx.operator().close_own_account().await?.map_err(problem)?;
    let details = json!({"counts": counts(&holdings), "delete_backups": takes_backups});
    tx.audit_events().record("account.delete", &format!("users:{}", auth.user_id), details).await?;
    let is_gone = tx.operator().remove_account(auth.user_id).await?;
    tx.commit().await?;
    tracing::info!(user = %auth.user_id, is_gone, "an account is deleted by its person");
    Ok(deleted(is_gone, keys))
}

/// The team's key on each server that is logged in to with it.
async fn keys(tx: &TeamTx) -> Result<Vec<KeyLeftBehind>, Problem> {
    let Some(key) = tx.team_keys().newest("ssh").await? else { return Ok(Vec::new()) };
    let page = PageRequest { offset: 0, limit: NAMED_MAX, newest_first: false, by_label: false };
    let servers = tx.remote_servers().list(page, &ServerFilter::default()).await?.rows;
    let with_key = servers.into_iter().filter(|row| row.auth_method == "team_key");
    Ok(with_key
        .map(|row| KeyLeftBehind {
            server: format!("{}@{}:{}", row.username, row.host, row.port),
            line: authorized_keys_line(&key.public),
        })
        .collect())
}

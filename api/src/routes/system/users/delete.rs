//! `DELETE /api/system/users/{id}`

use super::problem;
use crate::extract::{Authorized, Id, OurBody, may};
use crate::problem::Problem;
use crate::routes::account::delete::{AccountDeleted, counts, deleted};
use crate::state::ApiState;
use crate::validation::Presence;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use holdfast_domain::ids::UserId;
use serde_json::json;
use utoipa::ToSchema;

/// What goes with the account.
#[derive(ToSchema)]
#[schema(as = UserDeletion)]
#[expect(dead_code, reason = "read field by field; the struct is its description")]
pub(crate) struct Body {
    /// Their servers, destinations, tasks and backups too. Needs `confirm`.
    cascade: Option<bool>,
    /// The person's e-mail address.
    confirm: Option<String>,
}

/// Deletes somebody else's account. While it has anything: 409 with counts, unless `cascade` is true and `confirm` is the
/// e-mail address. Its backups are then deleted first (202), its rows when they are gone.
#[utoipa::path(delete, path = "/api/system/users/{id}", tag = "system", params(("id" = u64, Path)),
    request_body = Option<Body>, responses((status = 200, body = AccountDeleted), (status = 202, body = AccountDeleted),
        (status = 409, body = crate::problem::ProblemBody), (status = 422, body = crate::problem::ProblemBody)))]
pub async fn delete_user(
    State(state): State<ApiState>,
    auth: Authorized<may::ManageUsers>,
    Id(id): Id<UserId>,
    OurBody(mut fields): OurBody,
) -> Result<(StatusCode, Json<AccountDeleted>), Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let person = super::show_row(&tx, id).await?;
    let takes_all = fields.boolean("cascade", Presence::Optional).unwrap_or(false);
    let confirm = fields.string("confirm", Presence::Optional);
    fields.refuse_unknown();
    if takes_all && confirm.as_deref() != Some(person.email.as_str()) {
        fields.fail("confirm", "The confirm field must be the e-mail address of the user.");
    }
    fields.finish()?;
    let holdings = tx.operator().holdings(id).await?;
    if let Some(counts) = counts(&holdings).filter(|_| !takes_all) {
        let message = "The account has things of its own. Repeat with cascade and confirm to delete them with it.";
        return Err(Problem::in_use(message.to_owned(), counts));
    }
    tx.operator().close_account(id).await?.map_err(problem)?;
    let details = json!({"email": person.email, "cascade": takes_all, "counts": counts(&holdings)});
    tx.audit_events().record("user.delete", &format!("users:{id}"), details).await?;
    let is_gone = tx.operator().remove_account(id).await?;
    tx.commit().await?;
    Ok(deleted(is_gone, Vec::new()))
}

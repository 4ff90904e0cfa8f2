//! `POST /api/system/users/{id}/unsuspend`

use super::tell_both;
use crate::extract::{Authorized, Id, OurBody, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::validation::Presence;
use crate::views::person::PersonView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::{TeamId, UserId};
use holdfast_store::Changes;
use serde_json::json;
use utoipa::ToSchema;

/// What there is to say of it.
#[derive(ToSchema)]
#[schema(as = UnsuspensionRequest)]
#[expect(dead_code, reason = "read field by field; the struct is its description")]
pub(crate) struct Body {
    /// For operators alone.
    note: Option<String>,
}

/// Lifts a suspension. Tokens work again, sessions have to be begun anew; due times that passed meanwhile are not made up
/// for.
#[utoipa::path(post, path = "/api/system/users/{id}/unsuspend", tag = "system", params(("id" = u64, Path)),
    request_body = Option<Body>,
    responses((status = 200, body = Data<PersonView>), (status = 409, body = crate::problem::ProblemBody)))]
pub async fn unsuspend_user(
    State(state): State<ApiState>,
    auth: Authorized<may::ManageUsers>,
    Id(id): Id<UserId>,
    OurBody(mut fields): OurBody,
) -> Result<Json<Data<PersonView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let before = super::show_row(&tx, id).await?;
    let note = fields.text("note", Presence::Optional);
    fields.refuse_unknown();
    fields.finish()?;
    if !tx.operator().unsuspend(id, note.clone()).await? {
        let message = "The user is not suspended, or the account is being deleted.";
        return Err(Problem::conflict("not_suspended", message));
    }
    let view = super::show(&tx, id).await?;
    let subject = format!("users:{id}");
    let told = (json!({"note": note}), json!({}));
    let changes = Changes::default().field("is_suspended", true, false);
    tell_both(tx, before.team_id.map(TeamId), ("user.unsuspend", &subject), changes, told).await?;
    Ok(data(view))
}

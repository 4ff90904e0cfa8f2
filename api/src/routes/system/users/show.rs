//! `GET /api/system/users/{id}`

use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::person::PersonView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::UserId;

/// One person of the installation.
#[utoipa::path(get, path = "/api/system/users/{id}", tag = "system", params(("id" = u64, Path)),
    responses((status = 200, body = Data<PersonView>)))]
pub async fn show_other_user(
    State(state): State<ApiState>,
    auth: Authorized<may::ManageUsers>,
    Id(id): Id<UserId>,
) -> Result<Json<Data<PersonView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    Ok(data(super::show(&tx, id).await?))
}

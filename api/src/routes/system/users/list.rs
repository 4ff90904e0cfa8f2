//! `GET /api/system/users`

use crate::extract::page::ListBody;
use crate::extract::{Authorized, Paging, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::person::PersonView;
use axum::Json;
use axum::extract::State;
use holdfast_store::operator::PersonFilter;

/// People of the installation.
#[utoipa::path(get, path = "/api/system/users", tag = "system",
    params(("page" = Option<u64>, Query), ("per_page" = Option<u64>, Query), ("sort" = Option<String>, Query),
        ("search" = Option<String>, Query, description = "In name or e-mail"),
        ("filter[suspended]" = Option<String>, Query, description = "true or false"),
        ("filter[operator]" = Option<String>, Query, description = "true or false")),
    responses((status = 200, body = ListBody<PersonView>), (status = 422, body = crate::problem::ProblemBody)))]
pub async fn list_users(
    State(state): State<ApiState>,
    auth: Authorized<may::ManageUsers>,
    paging: Paging,
) -> Result<Json<ListBody<PersonView>>, Problem> {
    let truth = |name| paging.filter_of(name, &["true", "false"]).map(|text| text.map(|text| text == "true"));
    let filter = PersonFilter {
        search: paging.search().map(str::to_owned),
        is_suspended: truth("suspended")?,
        is_operator: truth("operator")?,
    };
    let tx = state.store().for_team(&auth.access).await?;
    let listed = tx.operator().people(paging.request(), &filter).await?;
    Ok(Json(paging.envelope(listed, PersonView::of)))
}

//! `GET /api/tags`

use crate::extract::page::ListBody;
use crate::extract::{Authorized, ByLabel, Paging, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::tag::TagView;
use axum::Json;
use axum::extract::State;

/// The team's tags.
#[utoipa::path(get, path = "/api/tags", tag = "tags",
    params(("page" = Option<u64>, Query), ("per_page" = Option<u64>, Query),
        ("sort" = Option<String>, Query, description = "`id`, `created_at` or `label`; with a dash in front descending"),
        ("search" = Option<String>, Query, description = "In label or description"),
        ("filter[colour]" = Option<String>, Query, description = "As it was typed")),
    responses((status = 200, body = ListBody<TagView>), (status = 422, body = crate::problem::ProblemBody)))]
pub async fn list_tags(
    State(state): State<ApiState>,
    auth: Authorized<may::ManageTags>,
    paging: Paging<ByLabel>,
) -> Result<Json<ListBody<TagView>>, Problem> {
    let colour = paging.filter_text("colour");
    let tx = state.store().for_team(&auth.access).await?;
    let listed = tx.tags().list(paging.request(), paging.search(), colour.as_deref()).await?;
    Ok(Json(paging.envelope(listed, TagView::of)))
}

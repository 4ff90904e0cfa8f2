//! `GET /api/tags/{id}`

use crate::extract::id::found;
use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::tag::TagView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::TagId;

/// One tag.
#[utoipa::path(get, path = "/api/tags/{id}", tag = "tags", params(("id" = u64, Path)),
    responses((status = 200, body = Data<TagView>)))]
pub async fn show_tag(
    State(state): State<ApiState>,
    auth: Authorized<may::ManageTags>,
    Id(id): Id<TagId>,
) -> Result<Json<Data<TagView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let row = found::<TagId, _>(tx.tags().find(id).await?)?;
    Ok(data(TagView::of(row)))
}

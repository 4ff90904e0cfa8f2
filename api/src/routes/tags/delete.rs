//! `DELETE /api/tags/{id}`

use crate::extract::id::found;
use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::Message;
use crate::views::tag::TagView;
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::TagId;
use holdfast_store::Changes;
use serde_json::json;

/// Removes a tag, from its tasks too; the tasks stay.
#[utoipa::path(delete, path = "/api/tags/{id}", tag = "tags", params(("id" = u64, Path)),
    responses((status = 200, body = Message)))]
pub async fn delete_tag(
    State(state): State<ApiState>,
    auth: Authorized<may::ManageTags>,
    Id(id): Id<TagId>,
) -> Result<Json<Message>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let row = found::<TagId, _>(tx.tags().find_for_update(id).await?)?;
    let changes = Changes::removed(&TagView::of(row.clone()));
    tx.tags().delete(row).await?;
    tx.audit_events().record_change("tag.delete", &format!("tags:{id}"), changes, json!({})).await?;
    tx.commit().await?;
    Ok(Json(Message { message: "Tag successfully deleted".to_owned() }))
}

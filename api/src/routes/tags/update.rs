//! `PUT /api/tags/{id}`

use super::Body;
use crate::extract::id::found;
use crate::extract::{Authorized, Id, PageBody, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::validation::Mode;
use crate::views::tag::TagView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::TagId;
use holdfast_store::Changes;
use serde_json::json;

/// Changes what is sent; what is absent stays, and null clears description or colour.
#[utoipa::path(put, path = "/api/tags/{id}", tag = "tags", params(("id" = u64, Path)),
    request_body(content((Body = "application/json"), (Body = "application/x-www-form-urlencoded"))),
    responses((status = 200, body = Data<TagView>), (status = 422, body = crate::problem::ProblemBody)))]
pub async fn update_tag(
    State(state): State<ApiState>,
    auth: Authorized<may::ManageTags>,
    Id(id): Id<TagId>,
    PageBody(fields): PageBody,
) -> Result<Json<Data<TagView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let mut row = found::<TagId, _>(tx.tags().find_for_update(id).await?)?;
    let mut fields = fields.in_mode(Mode::Update);
    let body = Body::read(&mut fields);
    let (sets_description, sets_colour) = (fields.sent("description"), fields.sent("colour"));
    fields.finish()?;
    let before = TagView::of(row.clone());
    row.label = body.label.unwrap_or(row.label);
    if sets_description {
        row.description = body.description;
    }
    if sets_colour {
        row.colour = body.colour;
    }
    row.updated_at = state.now();
    let view = TagView::of(tx.tags().save(row).await?);
    let changes = Changes::between(&before, &view);
    tx.audit_events().record_change("tag.update", &format!("tags:{id}"), changes, json!({})).await?;
    tx.commit().await?;
    Ok(data(view))
}

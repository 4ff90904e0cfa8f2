//! `POST /api/tags`

use super::Body;
use crate::extract::{Authorized, PageBody, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::tag::TagView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use holdfast_store::Changes;
use holdfast_store::repositories::tags::NewTag;
use serde_json::json;

/// Makes a tag.
#[utoipa::path(post, path = "/api/tags", tag = "tags",
    request_body(content((Body = "application/json"), (Body = "application/x-www-form-urlencoded"))),
    responses((status = 201, body = Data<TagView>), (status = 422, body = crate::problem::ProblemBody)))]
pub async fn create_tag(
    State(state): State<ApiState>,
    auth: Authorized<may::ManageTags>,
    PageBody(mut fields): PageBody,
) -> Result<(StatusCode, Json<Data<TagView>>), Problem> {
    let body = Body::read(&mut fields);
    fields.finish()?;
    let tx = state.store().for_team(&auth.access).await?;
    let new = NewTag {
        user_id: auth.user_id,
        label: body.label.unwrap_or_default(),
        description: body.description,
        colour: body.colour,
    };
    let row = tx.tags().create(new, state.now()).await?;
    let subject = format!("tags:{}", row.id);
    let view = TagView::of(row);
    tx.audit_events().record_change("tag.create", &subject, Changes::made(&view), json!({})).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, data(view)))
}

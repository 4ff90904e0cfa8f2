//! `DELETE /api/tokens/{id}`

use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::Message;
use crate::views::token::TokenView;
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::TokenId;
use holdfast_store::Changes;
use serde_json::json;

/// Revokes one of your tokens: it ends with its next request.
#[utoipa::path(delete, path = "/api/tokens/{id}", tag = "tokens", params(("id" = i64, Path)),
    responses((status = 200, body = Message)))]
pub async fn delete_token(
    State(state): State<ApiState>,
    auth: Authorized<may::Session>,
    Id(id): Id<TokenId>,
) -> Result<Json<Message>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let absent = || Problem::not_found("Token");
    let row = tx.tokens().find(auth.user_id, id).await?.ok_or_else(absent)?;
    if !tx.tokens().revoke(id, state.now()).await? {
        return Err(absent());
    }
    let changes = Changes::removed(&TokenView::of(&row));
    tx.audit_events().record_change("token.delete", &format!("tokens:{id}"), changes, json!({})).await?;
    tx.commit().await?;
    Ok(Json(Message { message: "Token successfully deleted".to_owned() }))
}

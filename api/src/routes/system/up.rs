//! `GET /up`

use crate::views::Message;
use axum::Json;

/// The process lives.
#[utoipa::path(get, path = "/up", tag = "system", responses((status = 200, body = Message)))]
pub async fn up() -> Json<Message> {
    Json(Message { message: "up".to_owned() })
}

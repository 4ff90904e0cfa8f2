//! `POST /api/auth/confirm-password`

use crate::accounts::log_in::{check_password, renew};
use crate::accounts::{Visitor, second_factor};
use crate::extract::id::found;
use crate::extract::{Authorized, OurBody, may};
use crate::problem::{Problem, ProblemBody};
use crate::state::ApiState;
use crate::validation::Presence;
use crate::views::Message;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use holdfast_domain::ids::UserId;
use serde_json::json;
use utoipa::ToSchema;

/// That it is still you.
#[derive(ToSchema)]
#[schema(as = PasswordConfirmation)]
#[expect(dead_code, reason = "read field by field; the struct is its description")]
pub(crate) struct Body {
    password: String,
    /// Needed with two-factor log-in: the app's six digits, or a recovery code.
    code: Option<String>,
}

/// Makes this session fresh: for ten minutes it may do what a stolen one must not. The session gets another cookie.
#[utoipa::path(post, path = "/api/auth/confirm-password", tag = "auth", request_body = Body,
    responses((status = 200, body = Message), (status = 422, body = ProblemBody), (status = 503, body = ProblemBody)))]
pub async fn confirm_password(
    State(state): State<ApiState>,
    auth: Authorized<may::Session>,
    visitor: Visitor,
    OurBody(mut fields): OurBody,
) -> Result<(HeaderMap, Json<Message>), Problem> {
    let password = fields.secret("password", Presence::Required, false);
    let code = fields.secret("code", Presence::Optional, false);
    fields.refuse_unknown();
    fields.finish()?;
    let tx = state.store().for_team(&auth.access).await?;
    let user = found::<UserId, _>(tx.users().find(auth.user_id).await?)?;
    tx.commit().await?;
    let checked = check_password(&state, &visitor, &user.email, password.unwrap_or_default()).await;
    let login = checked.map_err(|problem| problem.about_field("password", "The password is incorrect."))?;
    second_factor::check(&state, &visitor, (login.team_id, login.user_id), code.as_deref()).await?;
    let tx = state.store().for_team(&auth.access).await?;
    let headers = renew(&state, &tx).await?;
    tx.audit_events().record("session.confirm", &format!("users:{}", auth.user_id), json!({})).await?;
    tx.commit().await?;
    Ok((headers, Json(Message { message: "Confirmed for ten minutes.".to_owned() })))
}

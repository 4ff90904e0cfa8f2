//! `POST /api/user/email`

use crate::accounts::{Visitor, mails, second_factor};
use crate::extract::{Authorized, OurBody, may};
use crate::problem::{Problem, ProblemBody};
use crate::routes::auth::{MAIL_ON_ITS_WAY, email};
use crate::state::ApiState;
use crate::validation::Presence;
use crate::views::Message;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use holdfast_store::repositories::account_mails::LinkKind;
use serde_json::json;
use utoipa::ToSchema;

/// Another address.
#[derive(ToSchema)]
#[schema(as = EmailChange)]
#[expect(dead_code, reason = "read field by field; the struct is its description")]
pub(crate) struct Body {
    email: String,
    /// Needed with two-factor log-in.
    code: Option<String>,
}

/// Sends a link to another address; it becomes yours once `POST /api/user/email/confirm` has the link's secret. The answer
/// is the same where somebody has it.
#[utoipa::path(post, path = "/api/user/email", tag = "user", request_body = Body,
    responses((status = 202, body = Message), (status = 422, body = ProblemBody), (status = 503, body = ProblemBody)))]
pub async fn change_email(
    State(state): State<ApiState>,
    auth: Authorized<may::Session>,
    visitor: Visitor,
    OurBody(mut fields): OurBody,
) -> Result<(StatusCode, Json<Message>), Problem> {
    mails::base(&state)?;
    let email = email(&mut fields, "email");
    let code = fields.secret("code", Presence::Optional, false);
    fields.refuse_unknown();
    fields.finish()?;
    second_factor::check(&state, &visitor, (auth.access.team_id(), auth.user_id), code.as_deref()).await?;
    let link = mails::link(&state, LinkKind::Email, &email.unwrap_or_default(), Some(auth.user_id), None).await?;
    let tx = state.store().for_team(&auth.access).await?;
    tx.audit_events()
        .record("user.email_asked", &format!("users:{}", auth.user_id), json!({"email": link.email}))
        .await?;
    tx.account_mails().add_link(link).await?;
    tx.commit().await?;
    Ok((StatusCode::ACCEPTED, Json(Message { message: MAIL_ON_ITS_WAY.to_owned() })))
}

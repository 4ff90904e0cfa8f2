//! `POST /api/auth/verify-email/resend`

use super::register::open;
use super::{MAIL_ON_ITS_WAY, email};
use crate::accounts::{Visitor, mails};
use crate::extract::OurBody;
use crate::problem::{Problem, ProblemBody};
use crate::state::ApiState;
use crate::views::Message;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use holdfast_store::repositories::account_mails::LinkKind;
use utoipa::ToSchema;

/// Who waits for a mail.
#[derive(ToSchema)]
#[schema(as = EmailRequest)]
#[expect(dead_code, reason = "read field by field; the struct is its description")]
pub(crate) struct Body {
    email: String,
}

/// Sends the link of a registration again, under another secret; the earlier one is dead. The answer is the same where
/// nobody registered.
#[utoipa::path(post, path = "/api/auth/verify-email/resend", tag = "auth", request_body = Body,
    responses((status = 202, body = Message), (status = 403, body = ProblemBody), (status = 422, body = ProblemBody),
        (status = 429, body = ProblemBody), (status = 503, body = ProblemBody)))]
pub async fn resend_verification(
    State(state): State<ApiState>,
    visitor: Visitor,
    OurBody(mut fields): OurBody,
) -> Result<(StatusCode, Json<Message>), Problem> {
    open(&state)?;
    let email = email(&mut fields, "email");
    fields.refuse_unknown();
    fields.finish()?;
    state.guessing().link(&visitor, state.now())?;
    let new = mails::link(&state, LinkKind::Register, &email.unwrap_or_default(), None, None).await?;
    state.store().renew_registration(&new.email, &new.secret_hash, new.expires_at, new.mail).await?;
    Ok((StatusCode::ACCEPTED, Json(Message { message: MAIL_ON_ITS_WAY.to_owned() })))
}

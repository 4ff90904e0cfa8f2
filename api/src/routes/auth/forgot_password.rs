//! `POST /api/auth/forgot-password`

use super::resend_verification::Body;
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

/// Sends a link to a new password. The work and the answer are the same where nobody has the address; an earlier link is
/// dead.
#[utoipa::path(post, path = "/api/auth/forgot-password", tag = "auth", request_body = Body,
    responses((status = 202, body = Message), (status = 422, body = ProblemBody), (status = 429, body = ProblemBody),
        (status = 503, body = ProblemBody)))]
pub async fn forgot_password(
    State(state): State<ApiState>,
    visitor: Visitor,
    OurBody(mut fields): OurBody,
) -> Result<(StatusCode, Json<Message>), Problem> {
    mails::base(&state)?;
    let email = email(&mut fields, "email");
    fields.refuse_unknown();
    fields.finish()?;
    state.guessing().link(&visitor, state.now())?;
    let link = mails::link(&state, LinkKind::Reset, &email.unwrap_or_default(), None, None).await?;
    state.store().add_account_link(link).await?;
    Ok((StatusCode::ACCEPTED, Json(Message { message: MAIL_ON_ITS_WAY.to_owned() })))
}

//! `POST /api/auth/register`

use super::{MAIL_ON_ITS_WAY, email, new_password};
use crate::accounts::{Visitor, mails};
use crate::extract::OurBody;
use crate::problem::{Problem, ProblemBody};
use crate::state::ApiState;
use crate::validation::{Fields, Presence, rules, texts};
use crate::views::Message;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use holdfast_store::repositories::account_mails::{LinkKind, Registration};
use utoipa::ToSchema;

/// Longest name.
const NAME_CHARS: usize = 255;

/// An account to be made once its address is confirmed.
#[derive(ToSchema)]
#[schema(as = RegisterRequest)]
pub(crate) struct Body {
    name: Option<String>,
    email: Option<String>,
    /// 8 to 256 characters.
    password: Option<String>,
    /// IANA name; UTC without it.
    timezone: Option<String>,
}

impl Body {
    fn read(fields: &mut Fields) -> Self {
        let body = Self {
            name: fields.string("name", Presence::Required),
            email: email(fields, "email"),
            password: new_password(fields, "password"),
            timezone: fields.parsed("timezone", Presence::Optional, rules::timezone),
        };
        if body.name.as_ref().is_some_and(|name| name.chars().count() > NAME_CHARS) {
            fields.fail("name", texts::too_long("name", NAME_CHARS));
        }
        fields.refuse_unknown();
        body
    }
}

/// The one switch: whatever makes an account for whoever asks goes through it.
///
/// # Errors
/// 403 where the operator closed registration.
pub(super) fn open(state: &ApiState) -> Result<(), Problem> {
    if state.accounts().registration {
        return Ok(());
    }
    let message = "Nobody can register on this installation. Ask those who run it for an account.";
    Err(Problem::new(StatusCode::FORBIDDEN, "registration_closed", message))
}

/// Asks for an account. It exists once `POST /api/auth/verify-email` has the secret of the mail, which goes out only where
/// nobody has the address yet; the answer is the same.
#[utoipa::path(post, path = "/api/auth/register", tag = "auth", request_body = Body,
    responses((status = 202, body = Message), (status = 403, body = ProblemBody), (status = 422, body = ProblemBody),
        (status = 429, body = ProblemBody), (status = 503, body = ProblemBody)))]
pub async fn register(
    State(state): State<ApiState>,
    visitor: Visitor,
    OurBody(mut fields): OurBody,
) -> Result<(StatusCode, Json<Message>), Problem> {
    open(&state)?;
    mails::base(&state)?;
    let body = Body::read(&mut fields);
    fields.finish()?;
    state.guessing().link(&visitor, state.now())?;
    let registration = Registration {
        name: body.name.unwrap_or_default(),
        timezone: body.timezone.unwrap_or_else(|| "UTC".to_owned()),
        password_hash: state.hash_password(body.password.unwrap_or_default()).await?,
    };
    let email = body.email.unwrap_or_default();
    let link = mails::link(&state, LinkKind::Register, &email, None, Some(registration)).await?;
    state.store().add_account_link(link).await?;
    Ok((StatusCode::ACCEPTED, Json(Message { message: MAIL_ON_ITS_WAY.to_owned() })))
}

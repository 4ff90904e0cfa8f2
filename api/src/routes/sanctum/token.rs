//! `POST /api/sanctum/token`

use crate::accounts::log_in::check_password;
use crate::accounts::{Visitor, second_factor};
use crate::extract::PageBody;
use crate::problem::{Problem, ProblemBody};
use crate::routes::auth::email;
use crate::routes::tokens::create::{Wanted, make};
use crate::state::ApiState;
use crate::validation::{Fields, Presence, texts};
use axum::Json;
use axum::extract::State;
use holdfast_domain::Abilities;
use holdfast_store::Access;
use serde::Serialize;
use utoipa::ToSchema;

/// Longest name.
const NAME_CHARS: usize = 255;

/// A device that wants in.
#[derive(ToSchema)]
#[schema(as = DeviceTokenRequest)]
pub(crate) struct Body {
    email: Option<String>,
    password: Option<String>,
    /// Letters, digits, underscores, dashes and blanks.
    device_name: Option<String>,
    /// Needed with two-factor log-in: the app's six digits, or a recovery code. `two_factor_code` is the same.
    code: Option<String>,
}

/// The token.
#[derive(Serialize, ToSchema)]
pub struct DeviceToken {
    /// `<id>|<secret>`, with every ability: shown this once. It ends after `accounts.token_days`.
    token: String,
}

impl Body {
    fn read(fields: &mut Fields) -> Self {
        let code = fields.secret("code", Presence::Optional, false);
        let body = Self {
            email: email(fields, "email"),
            password: fields.secret("password", Presence::Required, false),
            device_name: fields.string("device_name", Presence::Required),
            code: code.or_else(|| fields.secret("two_factor_code", Presence::Optional, false)),
        };
        if let Some(name) = &body.device_name {
            if name.chars().count() > NAME_CHARS {
                fields.fail("device_name", texts::too_long("device_name", NAME_CHARS));
            } else if !name.chars().all(|c| c.is_alphanumeric() || c.is_whitespace() || matches!(c, '_' | '-')) {
                fields.fail("device_name", "The device name field format is invalid.");
            }
        }
        body
    }
}

/// A token for e-mail, password and, where there is a second factor, its code.
#[utoipa::path(post, path = "/api/sanctum/token", tag = "tokens", request_body = Body,
    responses((status = 200, body = DeviceToken), (status = 401, body = ProblemBody), (status = 404, body = ProblemBody),
        (status = 409, body = ProblemBody), (status = 422, body = ProblemBody), (status = 429, body = ProblemBody),
        (status = 503, body = ProblemBody)))]
pub async fn create_device_token(
    State(state): State<ApiState>,
    visitor: Visitor,
    PageBody(mut fields): PageBody,
) -> Result<Json<DeviceToken>, Problem> {
    if !state.accounts().device_tokens {
        let message = "Device authentication endpoint is not available.";
        return Err(Problem::new(axum::http::StatusCode::NOT_FOUND, "device_tokens_closed", message));
    }
    let body = Body::read(&mut fields);
    fields.finish()?;
    let email = body.email.unwrap_or_default();
    let login = check_password(&state, &visitor, &email, body.password.unwrap_or_default()).await?;
    second_factor::check(&state, &visitor, (login.team_id, login.user_id), body.code.as_deref()).await?;
    let wanted = Wanted {
        user_id: login.user_id,
        name: body.device_name.unwrap_or_default(),
        abilities: Abilities::All,
        expires_at: state.now() + state.accounts().token_lifetime,
    };
    let access = Access::system(login.team_id, "a device's token").seen_from(Some(visitor.address));
    let tx = state.store().for_team(&access).await?;
    let (_, token) = make(&state, &tx, wanted).await?;
    tx.commit().await?;
    Ok(Json(DeviceToken { token }))
}

//! `POST /api/auth/login`

use super::email;
use crate::accounts::Visitor;
use crate::accounts::log_in::{LogIn, check_password, log_in};
use crate::extract::OurBody;
use crate::problem::{Problem, ProblemBody};
use crate::state::ApiState;
use crate::validation::Presence;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use utoipa::ToSchema;

/// Who wants in.
#[derive(ToSchema)]
#[schema(as = LogInRequest)]
#[expect(dead_code, reason = "read field by field; the struct is its description")]
pub(crate) struct Body {
    email: String,
    password: String,
}

/// Begins a session, as a cookie. For somebody with a second factor the cookie opens nothing until
/// `POST /api/auth/two-factor` has its code.
#[utoipa::path(post, path = "/api/auth/login", tag = "auth", request_body = Body,
    responses((status = 200, body = Data<LogIn>), (status = 422, body = ProblemBody),
        (status = 429, body = ProblemBody), (status = 503, body = ProblemBody)))]
pub async fn log_in_by_password(
    State(state): State<ApiState>,
    visitor: Visitor,
    OurBody(mut fields): OurBody,
) -> Result<(HeaderMap, Json<Data<LogIn>>), Problem> {
    let email = email(&mut fields, "email");
    let password = fields.secret("password", Presence::Required, false);
    fields.refuse_unknown();
    fields.finish()?;
    let (email, password) = (email.unwrap_or_default(), password.unwrap_or_default());
    let login = check_password(&state, &visitor, &email, password).await?;
    let (headers, done) = log_in(&state, &visitor, &login).await?;
    Ok((headers, data(done)))
}

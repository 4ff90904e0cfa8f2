//! `POST /api/auth/verify-email`
//!
//! The password comes again: whoever registered with somebody else's address chose a password too, and the owner of the
//! address must not make that account by opening the link.

use super::register::open;
use super::setup::{Refusal, key_row, made};
use crate::accounts::Visitor;
use crate::extract::OurBody;
use crate::problem::{Problem, ProblemBody};
use crate::state::ApiState;
use crate::validation::Presence;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use holdfast_store::repositories::account_mails::{LinkKind, Registration};
use holdfast_store::system::{AccountOutcome, NewAccount};
use holdfast_vault::team_keys;
use holdfast_vault::ticket::LinkSecret;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

/// The confirmation of an address.
#[derive(ToSchema)]
#[schema(as = EmailVerification)]
#[expect(dead_code, reason = "read field by field; the struct is its description")]
pub(crate) struct Body {
    /// The secret from the mail.
    token: String,
    /// The password of the registration.
    password: String,
}

/// The account that was made.
#[derive(Serialize, ToSchema)]
pub struct Registered {
    user_id: i64,
    team_id: i64,
}

/// 422 for a link that is wrong, used, too old, or was followed by another.
pub(in crate::routes) fn dead_link() -> Problem {
    Problem::field("token", "This link does not hold any more. Ask for another one.")
}

/// Makes the account of a registration, with a team of its own.
#[utoipa::path(post, path = "/api/auth/verify-email", tag = "auth", request_body = Body,
    responses((status = 201, body = Data<Registered>), (status = 403, body = ProblemBody),
        (status = 422, body = ProblemBody), (status = 429, body = ProblemBody), (status = 503, body = ProblemBody)))]
pub async fn verify_email(
    State(state): State<ApiState>,
    visitor: Visitor,
    OurBody(mut fields): OurBody,
) -> Result<(StatusCode, Json<Data<Registered>>), Problem> {
    open(&state)?;
    let token = fields.string("token", Presence::Required);
    let password = fields.secret("password", Presence::Required, false);
    fields.refuse_unknown();
    fields.finish()?;
    state.guessing().link(&visitor, state.now())?;
    let secret = token.as_deref().and_then(LinkSecret::parse).ok_or_else(dead_link)?;
    let found = state.store().find_account_link(LinkKind::Register, secret.hash().as_bytes(), state.now()).await?;
    let found = found.ok_or_else(dead_link)?;
    let registration = found.registration.ok_or_else(dead_link)?;
    let stored = registration.password_hash.clone();
    if !state.verify_password(password.unwrap_or_default(), stored).await? {
        return Err(Problem::field("password", "This is not the password of the registration."));
    }
    let made = make(&state, &visitor, &secret, (found.email, registration)).await?;
    Ok((StatusCode::CREATED, data(made)))
}

async fn make(
    state: &ApiState,
    visitor: &Visitor,
    secret: &LinkSecret,
    (email, registration): (String, Registration),
) -> Result<Registered, Problem> {
    let sealer = state.sealer().await?;
    let new = NewAccount {
        email,
        name: registration.name,
        password_hash: registration.password_hash,
        timezone: registration.timezone,
        team_uuid: state.with_rng(team_keys::random_uuid),
        is_operator: false,
    };
    let changes = made(&new);
    let made = state.store().create_registered_account(new, secret.hash().as_bytes(), state.now()).await?;
    let (tx, user_id) = match made {
        AccountOutcome::Created { tx, user_id } => (tx.seen_from(visitor.address), user_id),
        AccountOutcome::EmailTaken => return Err(Refusal::EmailTaken.into()),
        AccountOutcome::LinkClosed => return Err(dead_link()),
    };
    let team_id = tx.team_id();
    let keys = state.with_rng(|rng| team_keys::generate(rng, &sealer, team_id));
    tx.team_keys().insert(keys.into_iter().map(key_row).collect()).await?;
    tx.audit_events().record_change("user.register", &format!("users:{user_id}"), changes, json!({})).await?;
    tx.commit().await?;
    Ok(Registered { user_id: user_id.0, team_id: team_id.0 })
}

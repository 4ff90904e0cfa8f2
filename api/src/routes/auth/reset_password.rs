//! `POST /api/auth/reset-password`

use super::new_password;
use super::verify_email::dead_link;
use crate::accounts::log_in::{LogIn, log_in};
use crate::accounts::{Visitor, mails};
use crate::extract::OurBody;
use crate::problem::{Problem, ProblemBody};
use crate::state::ApiState;
use crate::validation::Presence;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use holdfast_domain::account_mail::AccountMailKind;
use holdfast_store::repositories::account_mails::LinkKind;
use holdfast_store::system::Login;
use holdfast_store::{Access, Changes};
use holdfast_vault::ticket::LinkSecret;
use serde_json::json;
use utoipa::ToSchema;

/// A new password.
#[derive(ToSchema)]
#[schema(as = PasswordReset)]
#[expect(dead_code, reason = "read field by field; the struct is its description")]
pub(crate) struct Body {
    /// The secret from the mail.
    token: String,
    /// 8 to 256 characters.
    password: String,
}

/// Sets a new password, ends every session and begins one here. A second factor is still asked for, as at any log-in.
#[utoipa::path(post, path = "/api/auth/reset-password", tag = "auth", request_body = Body,
    responses((status = 200, body = Data<LogIn>), (status = 422, body = ProblemBody),
        (status = 429, body = ProblemBody), (status = 503, body = ProblemBody)))]
pub async fn reset_password(
    State(state): State<ApiState>,
    visitor: Visitor,
    OurBody(mut fields): OurBody,
) -> Result<(HeaderMap, Json<Data<LogIn>>), Problem> {
    let token = fields.string("token", Presence::Required);
    let password = new_password(&mut fields, "password");
    fields.refuse_unknown();
    fields.finish()?;
    state.guessing().link(&visitor, state.now())?;
    let secret = token.as_deref().and_then(LinkSecret::parse).ok_or_else(dead_link)?;
    let found = state.store().find_account_link(LinkKind::Reset, secret.hash().as_bytes(), state.now()).await?;
    let email = found.ok_or_else(dead_link)?.email;
    let login = state.store().find_login(&email).await?.ok_or_else(dead_link)?;
    let hash = state.hash_password(password.unwrap_or_default()).await?;
    let login = set(&state, &visitor, &secret, Login { password_hash: hash, ..login.clone() }, &login).await?;
    let (headers, done) = log_in(&state, &visitor, &login).await?;
    Ok((headers, data(done)))
}

/// Password, sessions, known browsers, link and mail, in one transaction.
async fn set(
    state: &ApiState,
    visitor: &Visitor,
    secret: &LinkSecret,
    new: Login,
    old: &Login,
) -> Result<Login, Problem> {
    let access = Access::system(new.team_id, "a password reset").seen_from(Some(visitor.address));
    let tx = state.store().for_team(&access).await?;
    let is_used = tx.account_mails().use_link(LinkKind::Reset, secret.hash().as_bytes(), state.now()).await?;
    if !is_used || !tx.users().set_password(new.user_id, &old.password_hash, &new.password_hash).await? {
        return Err(dead_link());
    }
    tx.sessions().end_all(new.user_id, None).await?;
    tx.known_devices().forget_all(new.user_id).await?;
    if let Some(user) = tx.users().find(new.user_id).await? {
        let body = mails::act(state, visitor);
        mails::tell(state, &tx, AccountMailKind::PasswordChanged, &user.email, &body).await?;
    }
    let subject = format!("users:{}", new.user_id);
    let (before, after) = (old.password_hash.as_bytes(), new.password_hash.as_bytes());
    let changes = Changes::default().secret("password", Some(before), Some(after));
    tx.audit_events().record_change("user.password", &subject, changes, json!({"by": "reset"})).await?;
    tx.commit().await?;
    Ok(new)
}

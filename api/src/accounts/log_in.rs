//! The one way in. A password is checked at one place, in the same time whoever has the address; what follows it, a
//! session or the question for the second factor, is decided at one place too.

use super::{Visitor, mails, second_factor};
use crate::extract::session_cookie::Cookie;
use crate::problem::Problem;
use crate::state::ApiState;
use axum::http::{HeaderMap, HeaderValue, header};
use chrono::{DateTime, TimeDelta, Utc};
use holdfast_domain::account_mail::AccountMailKind;
use holdfast_domain::ids::{SessionId, TeamId, UserId};
use holdfast_store::repositories::sessions::NewSession;
use holdfast_store::system::Login;
use holdfast_store::{Access, TeamTx};
use holdfast_vault::password;
use holdfast_vault::ticket::{DeviceSecret, SessionSecret};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

/// How long the second factor may be owed.
const CHALLENGE_LIFETIME: TimeDelta = TimeDelta::minutes(10);
/// How long a browser stays known.
const DEVICE_LIFETIME: TimeDelta = TimeDelta::days(365);

/// How a log-in went on.
#[derive(Serialize, ToSchema)]
pub struct LogIn {
    /// The cookie is no session yet: send the code to `POST /api/auth/two-factor`.
    pub two_factor_required: bool,
}

/// 422, whatever was wrong.
#[must_use]
pub fn wrong_credentials() -> Problem {
    Problem::field("email", "The provided credentials are incorrect.")
}

/// Whether the person logged in with this browser before.
///
/// # Errors
/// The database failed.
pub async fn is_known_device(
    tx: &TeamTx,
    visitor: &Visitor,
    user_id: UserId,
    now: DateTime<Utc>,
) -> Result<bool, Problem> {
    match visitor.device {
        Some(device) => Ok(tx.known_devices().see(user_id, device.as_bytes(), now).await?),
        None => Ok(false),
    }
}

/// Checks a password, with the same work and the same answer for an address that nobody has. Anything that it lets in
/// still owes the second factor: [`log_in`] or [`second_factor::check`] asks for it.
///
/// # Errors
/// 422 [`wrong_credentials`]; 429.
pub async fn check_password(
    state: &ApiState,
    visitor: &Visitor,
    email: &str,
    password: String,
) -> Result<Login, Problem> {
    let (login, now) = (state.store().find_login(email).await?, state.now());
    let mut is_known = false;
    // Only who has the cookie of a device causes this query: its time tells nobody whether an address is known.
    if let Some(login) = login.as_ref().filter(|_| visitor.device.is_some()) {
        let tx = state.store().for_team(&access(login.team_id, visitor)).await?;
        is_known = is_known_device(&tx, visitor, login.user_id, now).await?;
        tx.commit().await?;
    }
    state.guessing().password(email, visitor, is_known, now)?;
    let stored = login.as_ref().map_or(password::NOBODYS_HASH, |login| login.password_hash.as_str()).to_owned();
    let fits = state.verify_password(password.clone(), stored).await?;
    match login {
        Some(login) if fits => rehashed(state, login, password).await,
        _ => {
            state.store().note_login_failure(email, visitor.address, now).await?;
            Err(wrong_credentials())
        }
    }
}

/// With today's parameters, where the stored hash was made with weaker ones.
async fn rehashed(state: &ApiState, mut login: Login, password: String) -> Result<Login, Problem> {
    if password::needs_rehash(&login.password_hash) {
        let hash = state.hash_password(password).await?;
        let tx = state.store().for_team(&Access::system(login.team_id, "log-in")).await?;
        if tx.users().set_password(login.user_id, &login.password_hash, &hash).await? {
            login.password_hash = hash;
        }
        tx.commit().await?;
    }
    Ok(login)
}

fn access(team_id: TeamId, visitor: &Visitor) -> Access {
    Access::system(team_id, "log-in").seen_from(Some(visitor.address))
}

/// What follows a password that was right: a session, or for somebody with a second factor the question for it. Always a
/// cookie that did not exist before; the one that came along ends.
///
/// # Errors
/// The database failed; 503 without the log-in key that the second factor needs.
pub async fn log_in(state: &ApiState, visitor: &Visitor, login: &Login) -> Result<(HeaderMap, LogIn), Problem> {
    end_presented(state, visitor).await?;
    let tx = state.store().for_team(&access(login.team_id, visitor)).await?;
    if second_factor::needed(&tx, login.user_id).await?.is_some() {
        second_factor::key(state)?;
        let secret = insert(state, visitor, &tx, login.user_id, Some(CHALLENGE_LIFETIME)).await?.0;
        tx.commit().await?;
        let cookie = Cookie::Session.set(secret.expose(), CHALLENGE_LIFETIME, state.origin());
        return Ok((one(cookie), LogIn { two_factor_required: true }));
    }
    let headers = begin(state, visitor, &tx, login.user_id).await?;
    tx.commit().await?;
    Ok((headers, LogIn { two_factor_required: false }))
}

/// A session at once: for who has shown all that they must. The caller commits.
///
/// # Errors
/// The database failed.
pub async fn begin(state: &ApiState, visitor: &Visitor, tx: &TeamTx, user_id: UserId) -> Result<HeaderMap, Problem> {
    let now = state.now();
    let (secret, id) = insert(state, visitor, tx, user_id, None).await?;
    let mut headers = one(Cookie::Session.set(secret.expose(), state.accounts().session_lifetime, state.origin()));
    if !is_known_device(tx, visitor, user_id, now).await? {
        let device = state.with_rng(DeviceSecret::generate);
        tx.known_devices().add(user_id, device.hash().to_vec(), now).await?;
        headers.append(header::SET_COOKIE, Cookie::Device.set(device.expose(), DEVICE_LIFETIME, state.origin()));
        if let Some(user) = tx.users().find(user_id).await? {
            let body = mails::act(state, visitor);
            mails::tell(state, tx, AccountMailKind::NewLogIn, &user.email, &body).await?;
        }
    }
    let details = json!({"session": id, "user": user_id});
    tx.audit_events().record("session.begin", &format!("users:{user_id}"), details).await?;
    Ok(headers)
}

/// `lifetime`: of a challenge; none = a whole session.
async fn insert(
    state: &ApiState,
    visitor: &Visitor,
    tx: &TeamTx,
    user_id: UserId,
    lifetime: Option<TimeDelta>,
) -> Result<(SessionSecret, SessionId), Problem> {
    let (secret, now) = (state.with_rng(SessionSecret::generate), state.now());
    let new = NewSession {
        user_id,
        secret_hash: secret.hash().to_vec(),
        is_challenge: lifetime.is_some(),
        user_agent: visitor.user_agent.clone(),
        address: visitor.address.to_string(),
        now,
        expires_at: now + lifetime.unwrap_or(state.accounts().session_lifetime),
    };
    let id = tx.sessions().insert(new).await?;
    Ok((secret, id))
}

/// Ends the session whose cookie came along, whoever's it is: after a log-in the browser has another.
async fn end_presented(state: &ApiState, visitor: &Visitor) -> Result<(), Problem> {
    let Some(secret) = &visitor.session else { return Ok(()) };
    let (now, idle) = (state.now(), state.accounts().session_idle);
    let Some(found) = state.store().find_session(secret.hash().as_bytes(), now, idle).await? else { return Ok(()) };
    let actor = found.access.actor();
    let tx = state.store().for_team(&found.access).await?;
    if let (Some(user_id), Some(id)) = (actor.user_id(), actor.session_id()) {
        tx.sessions().end(user_id, id).await?;
    }
    Ok(tx.commit().await?)
}

/// Another secret for a session whose person has just proved who they are, or may more than before; as `Set-Cookie`.
/// The caller commits.
///
/// # Errors
/// 401 where the session has ended meanwhile.
pub async fn renew(state: &ApiState, tx: &TeamTx) -> Result<HeaderMap, Problem> {
    let id = tx.access().actor().session_id().ok_or_else(Problem::unauthenticated)?;
    let secret = state.with_rng(SessionSecret::generate);
    if !tx.sessions().renew(id, secret.hash().to_vec(), state.now()).await? {
        return Err(Problem::unauthenticated());
    }
    Ok(one(Cookie::Session.set(secret.expose(), state.accounts().session_lifetime, state.origin())))
}

/// The browser forgets its session.
#[must_use]
pub fn forget(state: &ApiState) -> HeaderMap {
    one(Cookie::Session.clear(state.origin()))
}

fn one(cookie: HeaderValue) -> HeaderMap {
    HeaderMap::from_iter([(header::SET_COOKIE, cookie)])
}

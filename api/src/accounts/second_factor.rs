//! Checking a second factor. The try is counted, and committed, before the code is looked at; of many equal codes at once
//! exactly one counts.

use super::Visitor;
use super::log_in::is_known_device;
use super::mails;
use crate::problem::Problem;
use crate::state::ApiState;
use crate::throttle::Refused;
use holdfast_domain::account_mail::AccountMailKind;
use holdfast_domain::ids::{TeamId, UserId};
use holdfast_store::repositories::two_factors::TRIES_PER_MINUTE;
use holdfast_store::{Access, TeamTx, rows};
use holdfast_vault::totp::TotpSecret;
use holdfast_vault::{LoginKey, SealContext, SealedColumn};
use secrecy::ExposeSecret;
use secrecy::SecretString;
use serde_json::json;

/// Longest text that can be a code.
const CODE_CHARS: usize = 64;

/// The log-in key.
///
/// # Errors
/// 503 that says what the operator has not set up. Never a way around: a person with a second factor then waits.
pub fn key(state: &ApiState) -> Result<&LoginKey, Problem> {
    state.login_key().ok_or_else(|| {
        let message = "Two-factor log-in needs the log-in key, which this installation's api does not have. Its \
                       operator sets `accounts.login_key_file`.";
        Problem::unavailable("two_factor_unavailable", message)
    })
}

/// The second factor that a person must show, if they have one.
///
/// # Errors
/// The database failed.
pub async fn needed(tx: &TeamTx, user_id: UserId) -> Result<Option<rows::two_factors::Model>, Problem> {
    Ok(tx.two_factors().find(user_id).await?.filter(|row| row.confirmed_at.is_some()))
}

/// The secret of a row.
///
/// # Errors
/// 503 without the log-in key, or with another than the one that sealed it.
pub fn open(state: &ApiState, row: &rows::two_factors::Model) -> Result<TotpSecret, Problem> {
    let place = SealContext::new(TeamId(row.team_id), SealedColumn::TwoFactorSecret, row.seal_id);
    key(state)?.open(&place, &row.sealed_secret).map_err(|error| {
        tracing::error!(%error, user = row.user_id, "a two-factor secret does not open: is it the right log-in key?");
        let message =
            "Two-factor log-in is not possible at the moment: the log-in key is not the one it was set up with.";
        Problem::unavailable("two_factor_unavailable", message)
    })
}

/// Checks `code`, an app's or a recovery code, of a person with a second factor; for one without there is nothing to check.
///
/// # Errors
/// 401 `two_factor_required` without a code; 422 for a wrong one; 429; 503 as [`open`].
pub async fn check(
    state: &ApiState,
    visitor: &Visitor,
    who: (TeamId, UserId),
    code: Option<&str>,
) -> Result<(), Problem> {
    let (team_id, user_id) = who;
    let access = Access::system(team_id, "a second factor").seen_from(Some(visitor.address));
    let tx = state.store().for_team(&access).await?;
    let Some(row) = needed(&tx, user_id).await? else { return Ok(()) };
    let Some(code) = code else { return Err(required()) };
    let (secret, now) = (open(state, &row)?, state.now());
    let is_known = is_known_device(&tx, visitor, user_id, now).await?;
    let may_try = tx.two_factors().count_try(user_id, is_known, now).await?;
    tx.commit().await?;
    if !may_try {
        let limit = TRIES_PER_MINUTE.unsigned_abs();
        return Err(Problem::throttled(&Refused::for_a_minute(limit, now), "Too Many Attempts."));
    }
    let tx = state.store().for_team(&access).await?;
    let is_right = match secret.step_of(code.trim(), now.timestamp()) {
        Some(step) => tx.two_factors().accept_step(user_id, step).await?,
        None if code.chars().count() > CODE_CHARS => false,
        None => use_recovery_code(state, visitor, &tx, user_id, code).await?,
    };
    if !is_right {
        let details = json!({"wrong": "code"});
        tx.audit_events().record("session.refused", &format!("users:{user_id}"), details).await?;
    }
    tx.commit().await?;
    if is_right { Ok(()) } else { Err(wrong()) }
}

/// 401: the password was right, and is not enough.
#[must_use]
pub fn required() -> Problem {
    let message = "A two-factor code is needed: send it as `code`.";
    Problem::new(axum::http::StatusCode::UNAUTHORIZED, "two_factor_required", message)
}

/// 422: wrong, too old, or used.
#[must_use]
pub fn wrong() -> Problem {
    Problem::field("code", "The provided two-factor code is invalid.")
}

async fn use_recovery_code(
    state: &ApiState,
    visitor: &Visitor,
    tx: &TeamTx,
    user_id: UserId,
    code: &str,
) -> Result<bool, Problem> {
    let hash = key(state)?.recovery_code_hash(user_id.0, code);
    if !tx.two_factors().use_code(user_id, hash, state.now()).await? {
        return Ok(false);
    }
    let left = tx.two_factors().codes_left(user_id).await?;
    let subject = format!("users:{user_id}");
    tx.audit_events().record("two_factor.recovery_code_used", &subject, json!({"left": left})).await?;
    if let Some(user) = tx.users().find(user_id).await? {
        let mut body = mails::act(state, visitor);
        body.codes_left = Some(left);
        mails::tell(state, tx, AccountMailKind::RecoveryCodeUsed, &user.email, &body).await?;
    }
    Ok(true)
}

/// New recovery codes in the place of all old ones, shown this once.
///
/// # Errors
/// The database failed; 503 without the log-in key.
pub async fn new_codes(state: &ApiState, tx: &TeamTx, user_id: UserId) -> Result<Vec<String>, Problem> {
    let key = key(state)?;
    let codes: Vec<SecretString> = (0..holdfast_vault::login_key::RECOVERY_CODES)
        .map(|_| state.with_rng(holdfast_vault::login_key::recovery_code))
        .collect();
    let hashes = codes.iter().map(|code| key.recovery_code_hash(user_id.0, code.expose_secret())).collect();
    tx.two_factors().replace_codes(user_id, hashes).await?;
    Ok(codes.iter().map(|code| code.expose_secret().to_owned()).collect())
}

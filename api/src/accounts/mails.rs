//! Handing mails about an account to the workers, sealed. A link in one starts with `http.public_url`, never with what a
//! request said of its host.

use super::Visitor;
use crate::problem::Problem;
use crate::sealing::RowSeal;
use crate::state::ApiState;
use chrono::TimeDelta;
use holdfast_domain::account_mail::{AccountMailBody, AccountMailKind, NO_TEAM};
use holdfast_domain::ids::UserId;
use holdfast_store::TeamTx;
use holdfast_store::repositories::account_mails::{LinkKind, NewLink, Registration, SealedMail};
use holdfast_vault::SealedColumn;
use holdfast_vault::ticket::LinkSecret;

/// How long a mailed link holds.
pub const LINK_LIFETIME: TimeDelta = TimeDelta::minutes(30);

/// What a mailed link would start with.
///
/// # Errors
/// 503 that says what the operator has not set up.
pub fn base(state: &ApiState) -> Result<String, Problem> {
    if !state.accounts().has_mail {
        let message = "Mail is not set up on this installation, and this needs it. Its operator sets `mail.host`.";
        return Err(Problem::unavailable("mail_not_set_up", message));
    }
    let Some(base) = &state.origin().public_url else {
        let message = "A mailed link needs the installation's address. Its operator sets `http.public_url`.";
        return Err(Problem::unavailable("public_url_not_set", message));
    };
    Ok(base.trim_end_matches('/').to_owned())
}

/// What a mail says, sealed for the workers.
///
/// # Errors
/// 503 while no worker has recorded its key.
pub async fn seal(state: &ApiState, body: &AccountMailBody) -> Result<SealedMail, Problem> {
    let text = serde_json::to_string(body).map_err(|error| Problem::internal(&error))?;
    let mut seal = RowSeal::fresh(state, NO_TEAM);
    let payload = seal.seal(SealedColumn::AccountMailPayload, Some(&text)).await?.unwrap_or_default();
    Ok(SealedMail { seal_id: seal.seal_id(), payload })
}

/// A link and its mail, to be stored.
///
/// # Errors
/// 503 as [`base`], or while no worker has recorded its key.
pub async fn link(
    state: &ApiState,
    kind: LinkKind,
    email: &str,
    user_id: Option<UserId>,
    registration: Option<Registration>,
) -> Result<NewLink, Problem> {
    let base = base(state)?;
    let secret = state.with_rng(LinkSecret::generate);
    let body =
        AccountMailBody { base: Some(base), secret: Some(secret.expose().to_owned()), ..AccountMailBody::default() };
    let now = state.now();
    Ok(NewLink {
        kind,
        email: email.to_owned(),
        user_id,
        registration,
        secret_hash: secret.hash().to_vec(),
        now,
        expires_at: now + LINK_LIFETIME,
        mail: seal(state, &body).await?,
    })
}

/// What a mail says of an act: when it was, and from where.
#[must_use]
pub fn act(state: &ApiState, visitor: &Visitor) -> AccountMailBody {
    AccountMailBody {
        base: state.origin().public_url.clone(),
        address: Some(visitor.address.to_string()),
        user_agent: Some(visitor.user_agent.clone()),
        at: Some(state.now().format("%Y-%m-%d %H:%M UTC").to_string()),
        ..AccountMailBody::default()
    }
}

/// Tells a person of an act in the transaction of the act. Without mail nothing is told.
///
/// # Errors
/// The database failed; 503 while no worker has recorded its key.
pub async fn tell(
    state: &ApiState,
    tx: &TeamTx,
    kind: AccountMailKind,
    email: &str,
    body: &AccountMailBody,
) -> Result<(), Problem> {
    if state.accounts().has_mail {
        tx.account_mails().add(kind.as_str(), email, seal(state, body).await?).await?;
    }
    Ok(())
}

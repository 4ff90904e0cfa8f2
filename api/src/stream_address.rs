//! Whether an e-mail stream may send to its address. A member's own is good at once; the owner of any other agrees by a
//! link that is mailed there. Nothing of what a team typed but the asking person's own address may stand in that mail: it
//! goes to strangers.

use crate::accounts::mails;
use crate::problem::Problem;
use crate::state::ApiState;
use chrono::{DateTime, TimeDelta, Utc};
use holdfast_domain::account_mail::AccountMailBody;
use holdfast_domain::ids::{NotificationStreamId, UserId};
use holdfast_store::TeamTx;
use holdfast_store::repositories::stream_links::{Asked, NewStreamLink};
use holdfast_vault::ticket::LinkSecret;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// How long the owner of an address may take.
pub const LINK_LIFETIME: TimeDelta = TimeDelta::days(7);

/// Tells an address from another one of the same stream; not what it is.
#[must_use]
pub fn address_hash(seal_id: Uuid, address: &str) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(seal_id.as_bytes());
    hash.update(address.to_ascii_lowercase());
    hash.finalize().to_vec()
}

/// When the address was confirmed, as far as nobody needs to be asked.
///
/// # Errors
/// The database failed.
pub async fn confirmed_at(state: &ApiState, tx: &TeamTx, address: &str) -> Result<Option<DateTime<Utc>>, Problem> {
    Ok(tx.users().has_address(address).await?.then(|| state.now()))
}

/// Asks the owner of a new address. Where this installation sends no mail, nobody is asked and the stream stays as it is.
///
/// # Errors
/// The database failed; 503 while no worker has recorded its key.
pub async fn ask(state: &ApiState, tx: &TeamTx, (asking, stream): (UserId, i64), address: &str) -> Result<(), Problem> {
    if mails::base(state).is_ok() {
        mail(state, tx, (asking, NotificationStreamId(stream)), Some(address.to_owned())).await?;
    }
    Ok(())
}

/// Mails a link to `address`, or to where the last one went.
///
/// # Errors
/// The database failed; 503 where mail is not set up, or while no worker has recorded its key.
pub async fn mail(
    state: &ApiState,
    tx: &TeamTx,
    (asking, stream_id): (UserId, NotificationStreamId),
    address: Option<String>,
) -> Result<Asked, Problem> {
    let secret = state.with_rng(LinkSecret::generate);
    let body = AccountMailBody {
        base: Some(mails::base(state)?),
        secret: Some(secret.expose().to_owned()),
        asked_by: tx.users().find(asking).await?.map(|user| user.email),
        ..AccountMailBody::default()
    };
    let now = state.now();
    let new = NewStreamLink {
        stream_id,
        email: address,
        secret_hash: secret.hash().to_vec(),
        now,
        expires_at: now + LINK_LIFETIME,
        mail: mails::seal(state, &body).await?,
    };
    Ok(tx.stream_links().ask(new).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_same_in_capitals_and_another_in_another_stream() {
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert_eq!(address_hash(one, "Ops@Example.org"), address_hash(one, "ops@example.org"));
        assert_ne!(address_hash(one, "ops@example.org"), address_hash(two, "ops@example.org"));
        assert_ne!(address_hash(one, "ops@example.org"), address_hash(one, "ops@example.com"));
    }
}

//! Links that ask an address whether a notification stream may send there. They lie with the other mailed links
//! (`account_links`) and are reached through SECURITY DEFINER functions alone.

use super::account_mails::{LinkKind, SealedMail, use_link};
use super::handle;
use crate::queue::{self, Job};
use crate::system::call;
use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use holdfast_domain::ids::{AccountMailId, NotificationStreamId, TeamId};
use sea_orm::FromQueryResult;

handle! {
    /// Asking addresses within a team's transaction.
    StreamLinks, stream_links
}

/// A link to be mailed.
#[derive(Clone)]
pub struct NewStreamLink {
    /// The stream that is to send there.
    pub stream_id: NotificationStreamId,
    /// Where it goes; none = where the stream's last one went.
    pub email: Option<String>,
    /// SHA-256 of its secret.
    pub secret_hash: Vec<u8>,
    /// The present.
    pub now: DateTime<Utc>,
    /// Its end.
    pub expires_at: DateTime<Utc>,
    /// The mail that carries it.
    pub mail: SealedMail,
}

/// What came of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The mail is on its way once the transaction commits.
    OnItsWay,
    /// The address or the team got enough such mails within the hour.
    Limited,
    /// No address is known.
    NoAddress,
}

/// What a link stands for.
#[derive(Clone)]
pub struct FoundStreamLink {
    /// Whose stream it is.
    pub team_id: TeamId,
    /// The stream.
    pub stream_id: NotificationStreamId,
    /// Where the link was sent.
    pub email: String,
}

#[derive(FromQueryResult)]
struct AskedRow {
    mail_id: Option<i64>,
    outcome: String,
}

#[derive(FromQueryResult)]
struct LinkRow {
    team_id: i64,
    stream_id: i64,
    email: String,
}

impl StreamLinks<'_> {
    /// Mails a link; the stream's earlier one is dead from then on.
    ///
    /// # Errors
    /// The database failed.
    pub async fn ask(&self, new: NewStreamLink) -> Result<Asked, StoreError> {
        let values = [
            new.stream_id.0.into(),
            new.email.into(),
            new.secret_hash.into(),
            new.now.into(),
            new.expires_at.into(),
            new.mail.seal_id.into(),
            new.mail.payload.into(),
        ];
        let statement = call("SELECT * FROM ask_stream_address($1, $2, $3, $4, $5, $6, $7)", values);
        let row = AskedRow::find_by_statement(statement).one(self.0.conn()).await?;
        match row.map(|row| (row.mail_id, row.outcome)) {
            Some((Some(id), _)) => {
                queue::enqueue_on(self.0.conn(), Job::SendAccountMail(AccountMailId(id))).await?;
                Ok(Asked::OnItsWay)
            }
            Some((None, outcome)) if outcome == "limited" => Ok(Asked::Limited),
            _ => Ok(Asked::NoAddress),
        }
    }

    /// Uses a link up: true once.
    ///
    /// # Errors
    /// The database failed.
    pub async fn use_up(&self, hash: &[u8], now: DateTime<Utc>) -> Result<bool, StoreError> {
        use_link(self.0.conn(), LinkKind::Stream, hash, now).await
    }
}

impl Store {
    /// What a link stands for, while it holds.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find_stream_link(
        &self,
        hash: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Option<FoundStreamLink>, StoreError> {
        let statement = call("SELECT * FROM find_stream_link($1, $2)", [hash.to_vec().into(), now.into()]);
        let row = LinkRow::find_by_statement(statement).one(self.db()).await?;
        Ok(row.map(|row| FoundStreamLink {
            team_id: TeamId(row.team_id),
            stream_id: NotificationStreamId(row.stream_id),
            email: row.email,
        }))
    }
}

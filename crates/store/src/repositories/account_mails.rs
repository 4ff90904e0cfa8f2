//! `account_mails` and `account_links`: mails to people about their account, and the links in them. They belong to an
//! address and not to a team: their rows are reached through SECURITY DEFINER functions alone.

use super::handle;
use crate::queue::{self, Job};
use crate::system::{call, truth};
use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use holdfast_domain::ids::{AccountMailId, UserId};
use sea_orm::{ConnectionTrait, FromQueryResult, Statement, TransactionTrait};
use uuid::Uuid;

handle! {
    /// Mails and links within a person's own transaction.
    AccountMails, account_mails
}

/// What a link is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// An account to be made.
    Register,
    /// A new password.
    Reset,
    /// Another address of an account.
    Email,
    /// An address that a notification stream sends to.
    Stream,
}

impl LinkKind {
    /// As it is stored; also the kind of its mail.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Reset => "reset",
            Self::Email => "email",
            Self::Stream => "stream",
        }
    }
}

/// What a mail says, sealed for the workers.
#[derive(Clone)]
pub struct SealedMail {
    /// What it is sealed for.
    pub seal_id: Uuid,
    /// The sealed text.
    pub payload: Vec<u8>,
}

/// The account that a link makes.
#[derive(Clone)]
pub struct Registration {
    /// Full name.
    pub name: String,
    /// IANA zone.
    pub timezone: String,
    /// Argon2id, PHC form.
    pub password_hash: String,
}

/// A link to be mailed.
#[derive(Clone)]
pub struct NewLink {
    /// What for.
    pub kind: LinkKind,
    /// Where it goes.
    pub email: String,
    /// [`LinkKind::Email`]: whose address it is to be.
    pub user_id: Option<UserId>,
    /// [`LinkKind::Register`].
    pub registration: Option<Registration>,
    /// SHA-256 of its secret.
    pub secret_hash: Vec<u8>,
    /// The present.
    pub now: DateTime<Utc>,
    /// Its end.
    pub expires_at: DateTime<Utc>,
    /// The mail that carries it.
    pub mail: SealedMail,
}

/// What a link stands for.
#[derive(Clone)]
pub struct FoundLink {
    /// Where it was sent.
    pub email: String,
    /// Whose address it is to be.
    pub user_id: Option<UserId>,
    /// The account it makes.
    pub registration: Option<Registration>,
}

/// A mail that is due.
#[derive(Clone, FromQueryResult)]
pub struct DueMail {
    /// Which.
    pub mail_id: i64,
    /// `register`, `reset`, …
    pub kind: String,
    /// Where it goes.
    pub email: String,
    /// What it is sealed for.
    pub seal_id: Uuid,
    /// What it says.
    pub sealed_payload: Vec<u8>,
    /// Tries, this one included.
    pub attempts: i32,
    /// `send`, `taken` or `drop`.
    pub verdict: String,
}

#[derive(FromQueryResult)]
struct LinkRow {
    email: String,
    user_id: Option<i64>,
    name: Option<String>,
    timezone: Option<String>,
    password_hash: Option<String>,
}

/// Runs a function that makes a mail, and queues the mail it made.
pub(super) async fn make(conn: &impl ConnectionTrait, statement: Statement) -> Result<(), StoreError> {
    let row = conn.query_one_raw(statement).await?;
    match row.map(|row| row.try_get_by_index::<Option<i64>>(0)).transpose()?.flatten() {
        Some(id) => queue::enqueue_on(conn, Job::SendAccountMail(AccountMailId(id))).await,
        None => Ok(()),
    }
}

fn link_statement(new: NewLink) -> Statement {
    let (name, timezone, hash) = match new.registration {
        Some(Registration { name, timezone, password_hash }) => (Some(name), Some(timezone), Some(password_hash)),
        None => (None, None, None),
    };
    let values = [
        new.kind.as_str().into(),
        new.email.into(),
        new.user_id.map(|id| id.0).into(),
        name.into(),
        timezone.into(),
        hash.into(),
        new.secret_hash.into(),
        new.now.into(),
        new.expires_at.into(),
        new.mail.seal_id.into(),
        new.mail.payload.into(),
    ];
    call("SELECT add_account_link($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)", values)
}

impl AccountMails<'_> {
    /// A mail without a link, sent once this transaction commits. Nothing where the address got enough of this kind.
    ///
    /// # Errors
    /// The database failed.
    pub async fn add(&self, kind: &'static str, email: &str, mail: SealedMail) -> Result<(), StoreError> {
        let values = [kind.into(), email.into(), mail.seal_id.into(), mail.payload.into()];
        make(self.0.conn(), call("SELECT add_account_mail($1, $2, NULL, $3, $4)", values)).await
    }

    /// A mail with a link, as [`Store::add_account_link`], sent once this transaction commits.
    ///
    /// # Errors
    /// The database failed.
    pub async fn add_link(&self, new: NewLink) -> Result<(), StoreError> {
        make(self.0.conn(), link_statement(new)).await
    }

    /// Uses a link up: true once.
    ///
    /// # Errors
    /// The database failed.
    pub async fn use_link(&self, kind: LinkKind, hash: &[u8], now: DateTime<Utc>) -> Result<bool, StoreError> {
        use_link(self.0.conn(), kind, hash, now).await
    }
}

pub(crate) async fn use_link(
    conn: &impl ConnectionTrait,
    kind: LinkKind,
    hash: &[u8],
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let values = [kind.as_str().into(), hash.to_vec().into(), now.into()];
    truth(conn, call("SELECT use_account_link($1, $2, $3)", values)).await
}

impl Store {
    /// A link and its mail; the address's earlier link of this kind is dead from then on. Nothing, silently, where the
    /// address got enough of them. The same work whoever has the address.
    ///
    /// # Errors
    /// The database failed.
    pub async fn add_account_link(&self, new: NewLink) -> Result<(), StoreError> {
        let txn = self.db().begin().await?;
        make(&txn, link_statement(new)).await?;
        Ok(txn.commit().await?)
    }

    /// Another link for the address's registration, whether or not there is one.
    ///
    /// # Errors
    /// The database failed.
    pub async fn renew_registration(
        &self,
        email: &str,
        secret_hash: &[u8],
        expires_at: DateTime<Utc>,
        mail: SealedMail,
    ) -> Result<(), StoreError> {
        let txn = self.db().begin().await?;
        let hash = secret_hash.to_vec();
        let values = [email.into(), hash.into(), expires_at.into(), mail.seal_id.into(), mail.payload.into()];
        make(&txn, call("SELECT renew_registration($1, $2, $3, $4, $5)", values)).await?;
        Ok(txn.commit().await?)
    }

    /// What a link stands for, while it holds.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find_account_link(
        &self,
        kind: LinkKind,
        hash: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Option<FoundLink>, StoreError> {
        let values = [kind.as_str().into(), hash.to_vec().into(), now.into()];
        let statement = call("SELECT * FROM find_account_link($1, $2, $3)", values);
        let row = LinkRow::find_by_statement(statement).one(self.db()).await?;
        Ok(row.map(|row| FoundLink {
            email: row.email,
            user_id: row.user_id.map(UserId),
            registration: row
                .name
                .zip(row.timezone)
                .zip(row.password_hash)
                .map(|((name, timezone), password_hash)| Registration { name, timezone, password_hash }),
        }))
    }

    /// Takes mails that are due; each is given again later unless [`Store::end_account_mail`] comes first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn take_account_mails(&self, at_most: i32) -> Result<Vec<DueMail>, StoreError> {
        let statement = call("SELECT * FROM take_account_mails($1)", [at_most.into()]);
        Ok(DueMail::find_by_statement(statement).all(self.db()).await?)
    }

    /// The end of a mail: it was sent, or never will be. What it said is forgotten.
    ///
    /// # Errors
    /// The database failed.
    pub async fn end_account_mail(&self, id: AccountMailId, is_sent: bool) -> Result<(), StoreError> {
        let status = if is_sent { "sent" } else { "dropped" };
        self.db().execute_raw(call("SELECT end_account_mail($1, $2)", [id.0.into(), status.into()])).await?;
        Ok(())
    }

    /// Forgets links, mails and sessions that ended a day ago.
    ///
    /// # Errors
    /// The database failed.
    pub async fn purge_account_rows(&self) -> Result<(), StoreError> {
        self.db().execute_raw(call("SELECT purge_account_rows()", [])).await?;
        Ok(())
    }
}

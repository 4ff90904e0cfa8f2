//! People before their team is known: sessions, and accounts that a mailed link makes. As in [`crate::system`], each is one SECURITY DEFINER function of the
//! schema, and none returns a tenant's data.

use crate::repositories::account_mails::{LinkKind, use_link};
use crate::system::{AccountOutcome, Login, NewAccount, call, make_account};
use crate::{Access, Store, StoreError};
use chrono::{DateTime, TimeDelta, Utc};
use holdfast_domain::ids::{SessionId, TeamId, UserId};
use holdfast_domain::{Abilities, Actor};
use sea_orm::{ConnectionTrait, FromQueryResult, TransactionTrait};
use std::net::IpAddr;

/// What a session gives.
#[derive(Clone, Debug)]
pub struct FoundSession {
    /// The right: everything that the person may do in the team it acts in.
    pub access: Access,
    /// When the person last proved who they are.
    pub authenticated_at: DateTime<Utc>,
    /// How long a page of a list is for the person, if they chose.
    pub page_size: Option<i32>,
}

#[derive(FromQueryResult)]
struct SessionRow {
    session_id: i64,
    team_id: i64,
    user_id: i64,
    authenticated_at: DateTime<Utc>,
    page_size: Option<i32>,
}

#[derive(FromQueryResult)]
struct ChallengeRow {
    session_id: i64,
    team_id: i64,
    user_id: i64,
}

/// A session that owes its second factor.
#[derive(Clone, Copy, Debug)]
pub struct Challenge {
    /// Which.
    pub session_id: SessionId,
    /// The team it would act in.
    pub team_id: TeamId,
    /// Whose.
    pub user_id: UserId,
}

#[derive(FromQueryResult)]
struct PersonRow {
    user_id: i64,
    team_id: i64,
    email: String,
    password_hash: String,
}

/// A person's log-in and address.
#[derive(Clone)]
pub struct PersonLogin {
    /// What the one log-in function needs.
    pub login: Login,
    /// As stored.
    pub email: String,
}

impl Store {
    /// The right that a session gives at `now`; none for an unknown, ended or idle one, for one that still owes its
    /// second factor, and for one of a suspended user or team.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find_session(
        &self,
        secret_hash: &[u8],
        now: DateTime<Utc>,
        idle: TimeDelta,
    ) -> Result<Option<FoundSession>, StoreError> {
        let idle_secs = idle.as_seconds_f64();
        let values = [secret_hash.to_vec().into(), now.into(), idle_secs.into()];
        let statement = call("SELECT * FROM find_session($1, $2, $3)", values);
        let Some(row) = SessionRow::find_by_statement(statement).one(self.db()).await? else { return Ok(None) };
        let actor = Actor::Session { session_id: SessionId(row.session_id), user_id: UserId(row.user_id) };
        Ok(Some(FoundSession {
            access: Access::new(actor, TeamId(row.team_id), Abilities::All),
            authenticated_at: row.authenticated_at,
            page_size: row.page_size,
        }))
    }

    /// A session that owes its second factor at `now`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find_challenge(
        &self,
        secret_hash: &[u8],
        now: DateTime<Utc>,
    ) -> Result<Option<Challenge>, StoreError> {
        let statement = call("SELECT * FROM find_challenge($1, $2)", [secret_hash.to_vec().into(), now.into()]);
        let row = ChallengeRow::find_by_statement(statement).one(self.db()).await?;
        Ok(row.map(|row| Challenge {
            session_id: SessionId(row.session_id),
            team_id: TeamId(row.team_id),
            user_id: UserId(row.user_id),
        }))
    }

    /// The log-in of a person who is not suspended, by their id.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find_login_of(&self, user_id: UserId) -> Result<Option<PersonLogin>, StoreError> {
        let statement = call("SELECT * FROM find_login_of($1)", [user_id.0.into()]);
        let row = PersonRow::find_by_statement(statement).one(self.db()).await?;
        Ok(row.map(|row| PersonLogin {
            login: Login {
                user_id: UserId(row.user_id),
                team_id: TeamId(row.team_id),
                password_hash: row.password_hash,
            },
            email: row.email,
        }))
    }

    /// Notes that a password was wrong for `email`, whoever has that address; [`Store::record_login_failures`] tells.
    ///
    /// # Errors
    /// The database failed.
    pub async fn note_login_failure(&self, email: &str, address: IpAddr, now: DateTime<Utc>) -> Result<(), StoreError> {
        let values = [email.into(), address.to_string().into(), now.into()];
        self.db().execute_raw(call("SELECT note_login_failure($1, $2, $3)", values)).await?;
        Ok(())
    }

    /// Tells the audit logs of those whose addresses they were for; how many were looked at.
    ///
    /// # Errors
    /// The database failed.
    pub async fn record_login_failures(&self, at_most: i32) -> Result<i64, StoreError> {
        let statement = call("SELECT record_login_failures($1) AS n", [at_most.into()]);
        let row = self.db().query_one_raw(statement).await?;
        Ok(row.map(|row| row.try_get("", "n")).transpose()?.unwrap_or(0))
    }

    /// Makes the account of a registration, by using its link up in the same transaction.
    ///
    /// # Errors
    /// The database failed.
    pub async fn create_registered_account(
        &self,
        new: NewAccount,
        link_hash: &[u8],
        now: DateTime<Utc>,
    ) -> Result<AccountOutcome, StoreError> {
        let txn = self.db().begin().await?;
        if !use_link(&txn, LinkKind::Register, link_hash, now).await? {
            return Ok(AccountOutcome::LinkClosed);
        }
        make_account(txn, new).await
    }
}

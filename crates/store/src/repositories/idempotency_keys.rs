//! `idempotency_keys`: which repeatable requests were carried out, and what was answered. Never the key itself, and
//! never an answer that shows a secret.

use super::handle;
use crate::{Store, StoreError};
use chrono::{DateTime, TimeDelta, Utc};
use holdfast_domain::ids::UserId;
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement};

handle! {
    /// Repeatable requests of the team.
    IdempotencyKeys, idempotency_keys
}

/// One request of one person under one key.
#[derive(Clone, Debug)]
pub struct KeyedRequest {
    /// Whose key it is.
    pub user_id: UserId,
    /// SHA-256 of the key.
    pub key_sha256: Vec<u8>,
    /// SHA-256 of what was asked for.
    pub request_sha256: Vec<u8>,
}

/// What is known of a key that was used before.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct HeldKey {
    /// SHA-256 of what was asked for then.
    pub request_sha256: Vec<u8>,
    /// None: it is not known to have ended.
    pub status: Option<i16>,
    /// The answer's body, where it is kept.
    pub answer: Option<Vec<u8>>,
    /// When it came.
    pub created_at: DateTime<Utc>,
}

/// Whose turn it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyClaim {
    /// The caller's: nobody used the key before, or so long ago that it is free again.
    Fresh,
    /// Somebody else's.
    Held(HeldKey),
    /// It was given back this moment; the next try gets it.
    Released,
}

const CLAIM: &str = "
INSERT INTO idempotency_keys AS held (team_id, user_id, key_sha256, request_sha256, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (team_id, user_id, key_sha256) DO UPDATE
SET request_sha256 = excluded.request_sha256, status = NULL, answer = NULL, created_at = excluded.created_at,
    expires_at = excluded.expires_at
WHERE held.expires_at <= excluded.created_at";

impl IdempotencyKeys<'_> {
    /// Takes the key for `lives` from `now`, or tells what it was used for. Of callers at the same time one gets it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn claim(
        &self,
        request: &KeyedRequest,
        now: DateTime<Utc>,
        lives: TimeDelta,
    ) -> Result<KeyClaim, StoreError> {
        let team = self.0.team_id().0;
        let (user, key) = (request.user_id.0, request.key_sha256.clone());
        let wanted = request.request_sha256.clone();
        let values = [team.into(), user.into(), key.clone().into(), wanted.into(), now.into(), (now + lives).into()];
        if self.0.change(CLAIM, values).await? > 0 {
            return Ok(KeyClaim::Fresh);
        }
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT request_sha256, status, answer, created_at FROM idempotency_keys
             WHERE team_id = $1 AND user_id = $2 AND key_sha256 = $3",
            [team.into(), user.into(), key.into()],
        );
        let held = HeldKey::find_by_statement(statement).one(self.0.conn()).await?;
        Ok(held.map_or(KeyClaim::Released, KeyClaim::Held))
    }

    /// Records that the request was carried out.
    ///
    /// # Errors
    /// The database failed.
    pub async fn keep(&self, request: &KeyedRequest, status: u16, answer: Option<Vec<u8>>) -> Result<(), StoreError> {
        let sql = "UPDATE idempotency_keys SET status = $5, answer = $6
                   WHERE team_id = $1 AND user_id = $2 AND key_sha256 = $3 AND request_sha256 = $4 AND status IS NULL";
        let status = i16::try_from(status).unwrap_or_default();
        let values = self.values(request).into_iter().chain([status.into(), answer.into()]);
        self.0.change(sql, values).await.map(|_| ())
    }

    /// Gives the key back: nothing came of the request.
    ///
    /// # Errors
    /// The database failed.
    pub async fn release(&self, request: &KeyedRequest) -> Result<(), StoreError> {
        let sql = "DELETE FROM idempotency_keys
                   WHERE team_id = $1 AND user_id = $2 AND key_sha256 = $3 AND request_sha256 = $4 AND status IS NULL";
        self.0.change(sql, self.values(request)).await.map(|_| ())
    }

    fn values(&self, request: &KeyedRequest) -> [sea_orm::Value; 4] {
        let (key, wanted) = (request.key_sha256.clone(), request.request_sha256.clone());
        [self.0.team_id().0.into(), request.user_id.0.into(), key.into(), wanted.into()]
    }
}

impl Store {
    /// Forgets keys whose time is over; returns how many.
    ///
    /// # Errors
    /// The database failed.
    pub async fn purge_idempotency_keys(&self) -> Result<u64, StoreError> {
        let statement = Statement::from_string(DbBackend::Postgres, "SELECT purge_idempotency_keys() AS gone");
        let row = self.db().query_one_raw(statement).await?;
        let gone: i64 = row.map(|r| r.try_get("", "gone")).transpose()?.unwrap_or(0);
        Ok(gone.unsigned_abs())
    }
}

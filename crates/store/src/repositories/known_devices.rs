//! `known_devices`: browsers in which a person logged in once.

use super::handle;
use crate::StoreError;
use chrono::{DateTime, Utc};
use holdfast_domain::ids::UserId;
use sea_orm::{DbBackend, FromQueryResult, Statement};

handle! {
    /// Browsers of the team's people.
    KnownDevices, known_devices
}

/// A browser.
#[derive(Clone, Debug, FromQueryResult)]
pub struct KnownDevice {
    /// When the person first logged in with it.
    pub created_at: DateTime<Utc>,
    /// When they last did.
    pub last_seen_at: DateTime<Utc>,
}

impl KnownDevices<'_> {
    /// A person's, the first first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn list(&self, user_id: UserId) -> Result<Vec<KnownDevice>, StoreError> {
        let sql = "SELECT created_at, last_seen_at FROM known_devices WHERE team_id = $1 AND user_id = $2 ORDER BY id";
        let values = [self.0.team_id().0.into(), user_id.0.into()];
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        Ok(KnownDevice::find_by_statement(statement).all(self.0.conn()).await?)
    }

    /// Whether the person logged in with this one before; notes that it was seen.
    ///
    /// # Errors
    /// The database failed.
    pub async fn see(&self, user_id: UserId, secret_hash: &[u8], now: DateTime<Utc>) -> Result<bool, StoreError> {
        let sql = "UPDATE known_devices SET last_seen_at = $4
                   WHERE team_id = $1 AND user_id = $2 AND secret_hash = $3";
        let values = [self.0.team_id().0.into(), user_id.0.into(), secret_hash.to_vec().into(), now.into()];
        Ok(self.0.change(sql, values).await? == 1)
    }

    /// Knows one from now on.
    ///
    /// # Errors
    /// The database failed.
    pub async fn add(&self, user_id: UserId, secret_hash: Vec<u8>, now: DateTime<Utc>) -> Result<(), StoreError> {
        let sql = "INSERT INTO known_devices (team_id, user_id, secret_hash, last_seen_at, created_at)
                   VALUES ($1, $2, $3, $4, $4) ON CONFLICT DO NOTHING";
        let values = [self.0.team_id().0.into(), user_id.0.into(), secret_hash.into(), now.into()];
        self.0.change(sql, values).await.map(|_| ())
    }

    /// Knows none any more.
    ///
    /// # Errors
    /// The database failed.
    pub async fn forget_all(&self, user_id: UserId) -> Result<(), StoreError> {
        let sql = "DELETE FROM known_devices WHERE team_id = $1 AND user_id = $2";
        self.0.change(sql, [self.0.team_id().0.into(), user_id.0.into()]).await.map(|_| ())
    }
}

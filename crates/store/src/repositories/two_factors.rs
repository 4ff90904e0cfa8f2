//! `two_factors`, `two_factor_tries`, `recovery_codes`: second factors of people. What decides (a step, a code, a try) is
//! one conditional statement, so that of many at once exactly one counts.

use super::handle;
use crate::StoreError;
use chrono::{DateTime, TimeDelta, Utc};
use holdfast_domain::ids::UserId;
use holdfast_entity::two_factors as table;
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, Statement};
use uuid::Uuid;

/// Tries of a code a minute.
pub const TRIES_PER_MINUTE: i32 = 5;

handle! {
    /// Second factors of the team's people.
    TwoFactors, two_factors
}

impl TwoFactors<'_> {
    /// A person's, confirmed or not.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find(&self, user_id: UserId) -> Result<Option<table::Model>, StoreError> {
        let select = table::Entity::find_by_id(user_id.0).filter(table::Column::TeamId.eq(self.0.team_id().0));
        Ok(select.one(self.0.conn()).await?)
    }

    /// Stores a secret that is not asked for yet, in place of one that is not either; false where one is.
    ///
    /// # Errors
    /// The database failed.
    pub async fn begin(
        &self,
        user_id: UserId,
        seal_id: Uuid,
        sealed: Vec<u8>,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let sql = "INSERT INTO two_factors (user_id, team_id, seal_id, sealed_secret, created_at)
                   VALUES ($1, $2, $3, $4, $5)
                   ON CONFLICT (user_id) DO UPDATE SET seal_id = $3, sealed_secret = $4, created_at = $5, last_step = 0
                   WHERE two_factors.confirmed_at IS NULL";
        let team = self.0.team_id().0;
        let values = [user_id.0.into(), team.into(), seal_id.into(), sealed.into(), now.into()];
        Ok(self.0.change(sql, values).await? == 1)
    }

    /// From now on the second factor is asked for; false where it was already.
    ///
    /// # Errors
    /// The database failed.
    pub async fn confirm(&self, user_id: UserId, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let sql = "UPDATE two_factors SET confirmed_at = $3
                   WHERE user_id = $1 AND team_id = $2 AND confirmed_at IS NULL";
        Ok(self.0.change(sql, [user_id.0.into(), self.0.team_id().0.into(), now.into()]).await? == 1)
    }

    /// Whether a code of `step` counts: only once, and none of an earlier step after it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn accept_step(&self, user_id: UserId, step: i64) -> Result<bool, StoreError> {
        let sql = "UPDATE two_factors SET last_step = $3 WHERE user_id = $1 AND team_id = $2 AND last_step < $3";
        Ok(self.0.change(sql, [user_id.0.into(), self.0.team_id().0.into(), step.into()]).await? == 1)
    }

    /// Removes a person's second factor, with its recovery codes.
    ///
    /// # Errors
    /// The database failed.
    pub async fn remove(&self, user_id: UserId) -> Result<bool, StoreError> {
        let values = || [user_id.0.into(), self.0.team_id().0.into()];
        self.0.change("DELETE FROM recovery_codes WHERE user_id = $1 AND team_id = $2", values()).await?;
        Ok(self.0.change("DELETE FROM two_factors WHERE user_id = $1 AND team_id = $2", values()).await? == 1)
    }

    /// Counts a try of a code; false where the minute has had enough of them. To be committed before the code is looked
    /// at.
    ///
    /// # Errors
    /// The database failed.
    pub async fn count_try(
        &self,
        user_id: UserId,
        is_known_device: bool,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let sql = "INSERT INTO two_factor_tries (user_id, is_known_device, team_id, tries, window_at)
                   VALUES ($1, $2, $3, 1, $4)
                   ON CONFLICT (user_id, is_known_device) DO UPDATE SET
                       tries = CASE WHEN two_factor_tries.window_at > $5 THEN two_factor_tries.tries + 1 ELSE 1 END,
                       window_at = CASE WHEN two_factor_tries.window_at > $5 THEN two_factor_tries.window_at ELSE $4 END
                   WHERE two_factor_tries.window_at <= $5 OR two_factor_tries.tries < $6";
        let minute_ago = now - TimeDelta::minutes(1);
        let values = [
            user_id.0.into(),
            is_known_device.into(),
            self.0.team_id().0.into(),
            now.into(),
            minute_ago.into(),
            TRIES_PER_MINUTE.into(),
        ];
        Ok(self.0.change(sql, values).await? == 1)
    }

    /// Puts new recovery codes in the place of all old ones.
    ///
    /// # Errors
    /// The database failed.
    pub async fn replace_codes(&self, user_id: UserId, hashes: Vec<Vec<u8>>) -> Result<(), StoreError> {
        let team = self.0.team_id().0;
        let delete = "DELETE FROM recovery_codes WHERE user_id = $1 AND team_id = $2";
        self.0.change(delete, [user_id.0.into(), team.into()]).await?;
        for hash in hashes {
            let sql = "INSERT INTO recovery_codes (user_id, team_id, code_hash) VALUES ($1, $2, $3)";
            self.0.change(sql, [user_id.0.into(), team.into(), hash.into()]).await?;
        }
        Ok(())
    }

    /// Uses a recovery code up: true once.
    ///
    /// # Errors
    /// The database failed.
    pub async fn use_code(&self, user_id: UserId, hash: Vec<u8>, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let sql = "UPDATE recovery_codes SET used_at = $4
                   WHERE user_id = $1 AND team_id = $2 AND code_hash = $3 AND used_at IS NULL";
        let values = [user_id.0.into(), self.0.team_id().0.into(), hash.into(), now.into()];
        Ok(self.0.change(sql, values).await? == 1)
    }

    /// Recovery codes that were not used.
    ///
    /// # Errors
    /// The database failed.
    pub async fn codes_left(&self, user_id: UserId) -> Result<i64, StoreError> {
        let sql = "SELECT count(*) FROM recovery_codes WHERE user_id = $1 AND team_id = $2 AND used_at IS NULL";
        let values = [user_id.0.into(), self.0.team_id().0.into()];
        let row = self.0.conn().query_one_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await?;
        Ok(row.map(|row| row.try_get_by_index::<i64>(0)).transpose()?.unwrap_or(0))
    }
}

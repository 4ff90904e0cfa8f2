//! `team_limits`: what a team may have, and what it has. Whoever creates something that is limited asks [`TeamLimitsOf::take`]
//! first, in the transaction that creates: the team's row is locked until that ends, so that any number of requests at
//! once never exceed a limit. Nothing here may be asked after a row of the team was locked by somebody who creates: take
//! first, then lock.

use super::handle;
use crate::StoreError;
use holdfast_domain::{Limit, TeamLimits};
use holdfast_entity::team_limits as table;
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, Statement};
use std::collections::BTreeMap;

handle! {
    /// The team's limits.
    TeamLimitsOf, team_limits
}

/// The team has all that it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitReached {
    /// Of what.
    pub limit: Limit,
    /// How much it may have.
    pub allowed: u64,
}

/// What [`TeamLimitsOf::take`] counts, by limit; the others are rates, which their own places count.
const COUNTED: &[(Limit, &str)] = &[
    (Limit::Members, "SELECT count(*) AS n FROM members WHERE team_id = $1"),
    (Limit::RemoteServers, "SELECT count(*) AS n FROM remote_servers WHERE team_id = $1 AND deleted_at IS NULL"),
    (
        Limit::BackupDestinations,
        "SELECT count(*) AS n FROM backup_destinations WHERE team_id = $1 AND deleted_at IS NULL",
    ),
    (Limit::BackupTasks, "SELECT count(*) AS n FROM backup_tasks WHERE team_id = $1 AND deleted_at IS NULL"),
    (Limit::NotificationStreams, "SELECT count(*) AS n FROM notification_streams WHERE team_id = $1"),
    (Limit::Scripts, "SELECT count(*) AS n FROM scripts WHERE team_id = $1"),
    (Limit::ScriptSecrets, "SELECT count(*) AS n FROM script_secrets WHERE team_id = $1"),
    (
        Limit::Tokens,
        "SELECT count(*) AS n FROM tokens
         WHERE team_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())",
    ),
    (
        Limit::RunsAtOnce,
        "SELECT count(*) AS n FROM backup_runs WHERE team_id = $1 AND status IN ('queued', 'running', 'verifying')",
    ),
    (
        Limit::StoredBytes,
        "SELECT coalesce(sum(o.size_bytes), 0)::bigint AS n FROM backup_copy_objects o
         JOIN backup_copies c ON c.id = o.backup_copy_id
         WHERE o.team_id = $1 AND c.state IN ('running', 'committed', 'recycled', 'deleting')",
    ),
];

impl TeamLimitsOf<'_> {
    /// Whether the team may have one more of what `limit` counts (of [`Limit::StoredBytes`]: whether there is room at all).
    /// `Ok(Err(…))` when not. Locks the team's row until the transaction ends, if there is such a limit.
    ///
    /// # Errors
    /// The database failed.
    pub async fn take(&self, limit: Limit, defaults: &TeamLimits) -> Result<Result<(), LimitReached>, StoreError> {
        let Some(allowed) = self.allowed(defaults).await?.of(limit) else { return Ok(Ok(())) };
        // Not FOR UPDATE: rows that refer to the team are still made meanwhile.
        let lock = "SELECT id FROM teams WHERE id = $1 FOR NO KEY UPDATE";
        self.0.conn().execute_raw(statement(lock, self.0.team_id().0)).await?;
        // Counted after the lock, by a statement of its own: it sees what the one before has committed.
        let used = self.used(limit).await?;
        Ok(if used < allowed { Ok(()) } else { Err(LimitReached { limit, allowed }) })
    }

    /// The team's limits: its own where it has them, else the defaults.
    ///
    /// # Errors
    /// The database failed.
    pub async fn allowed(&self, defaults: &TeamLimits) -> Result<TeamLimits, StoreError> {
        let own = table::Entity::find_by_id(self.0.team_id().0).one(self.0.conn()).await?;
        let mut limits = *defaults;
        for (name, number) in own.iter().filter_map(|row| row.limits.as_object()).flatten() {
            if let (Some(limit), Some(number)) = (Limit::parse(name), number.as_u64()) {
                limits.set(limit, number);
            }
        }
        Ok(limits)
    }

    /// How much the team has of what `limit` counts; 0 of what is counted elsewhere.
    ///
    /// # Errors
    /// The database failed.
    pub async fn used(&self, limit: Limit) -> Result<u64, StoreError> {
        let Some((_, sql)) = COUNTED.iter().find(|(counted, _)| *counted == limit) else { return Ok(0) };
        let row = self.0.conn().query_one_raw(statement(sql, self.0.team_id().0)).await?;
        let count: Option<i64> = row.map(|row| row.try_get("", "n")).transpose()?;
        Ok(count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
    }

    /// As [`TeamLimitsOf::used`], for everything that is counted.
    ///
    /// # Errors
    /// The database failed.
    pub async fn all_used(&self) -> Result<BTreeMap<Limit, u64>, StoreError> {
        let mut used = BTreeMap::new();
        for (limit, _) in COUNTED {
            used.insert(*limit, self.used(*limit).await?);
        }
        Ok(used)
    }
}

fn statement(sql: &'static str, team: i64) -> Statement {
    Statement::from_sql_and_values(DbBackend::Postgres, sql, [team.into()])
}

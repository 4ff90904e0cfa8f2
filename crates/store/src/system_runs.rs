//! Work on runs before a team is known: strays, leftovers. The SECURITY DEFINER functions of the schema, one Rust function
//! each; each returns ids, and what the next step needs to act for that team.

use crate::{Store, StoreError};
use holdfast_domain::ids::{BackupCopyId, BackupRunId, RestoreId, TeamId};
use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement, Value};

/// An unfinished run, copy or restore that nobody works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stray<Id> {
    /// Whose.
    pub team_id: TeamId,
    /// Which.
    pub id: Id,
    /// Its epoch when it was found.
    pub epoch: i32,
    /// What to do with it.
    pub verdict: Verdict,
}

/// What to do with a stray.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Put it on the queue again.
    Nudge,
    /// Its attempts are used up: end it as failed.
    Abandon,
    /// Somebody asked for its end.
    Cancel,
}

/// Which restores are strays.
#[derive(Clone, Copy, Debug)]
pub struct StrayRule {
    /// Attempts a restore may have.
    pub max_attempts: i32,
    /// A queued one is a stray when it could have been claimed this long ago.
    pub queued_secs: f64,
    /// How many to return.
    pub at_most: i32,
}

impl Store {
    /// Runs that nobody works on nor will: out of attempts, or cancelled.
    ///
    /// # Errors
    /// The database failed.
    pub async fn runs_to_end(&self, max_attempts: i32, at_most: i32) -> Result<Vec<Stray<BackupRunId>>, StoreError> {
        let sql = "SELECT team_id, id, epoch, verdict FROM backup_runs_to_end($1, $2)";
        self.strays(statement(sql, [max_attempts.into(), at_most.into()]), BackupRunId).await
    }

    /// Copies in the making that nobody works on nor will.
    ///
    /// # Errors
    /// The database failed.
    pub async fn copies_to_end(&self, max_attempts: i32, at_most: i32) -> Result<Vec<Stray<BackupCopyId>>, StoreError> {
        let sql = "SELECT team_id, id, epoch, verdict FROM backup_copies_to_end($1, $2)";
        self.strays(statement(sql, [max_attempts.into(), at_most.into()]), BackupCopyId).await
    }

    /// Restores that nobody works on.
    ///
    /// # Errors
    /// The database failed.
    pub async fn stray_restores(&self, rule: StrayRule) -> Result<Vec<Stray<RestoreId>>, StoreError> {
        let sql = "SELECT team_id, restore_id AS id, epoch, verdict FROM stray_restores($1, $2, $3)";
        let values = [rule.max_attempts.into(), rule.queued_secs.into(), rule.at_most.into()];
        self.strays(statement(sql, values), RestoreId).await
    }

    async fn strays<Id>(&self, found: Statement, id: fn(i64) -> Id) -> Result<Vec<Stray<Id>>, StoreError> {
        let rows = self.db().query_all_raw(found).await?;
        rows.iter()
            .map(|row| {
                Ok(Stray {
                    team_id: TeamId(row.try_get("", "team_id")?),
                    id: id(row.try_get("", "id")?),
                    epoch: row.try_get("", "epoch")?,
                    verdict: verdict(row)?,
                })
            })
            .collect()
    }

    /// Runs with recorded objects of ended attempts.
    ///
    /// # Errors
    /// The database failed.
    pub async fn runs_with_leftovers(&self, at_most: i32) -> Result<Vec<(TeamId, BackupRunId)>, StoreError> {
        let sql = "SELECT team_id, backup_run_id FROM runs_with_leftovers($1)";
        let rows = self.db().query_all_raw(statement(sql, [at_most.into()])).await?;
        rows.iter()
            .map(|row| Ok((TeamId(row.try_get("", "team_id")?), BackupRunId(row.try_get("", "backup_run_id")?))))
            .collect()
    }
}

fn statement<const N: usize>(sql: &'static str, values: [Value; N]) -> Statement {
    Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
}

fn verdict(row: &QueryResult) -> Result<Verdict, StoreError> {
    let text: String = row.try_get("", "verdict")?;
    match text.as_str() {
        "nudge" => Ok(Verdict::Nudge),
        "abandon" => Ok(Verdict::Abandon),
        "cancel" => Ok(Verdict::Cancel),
        other => Err(StoreError::Inconsistent {
            table: "backup_runs",
            id: "(function)".to_owned(),
            problem: format!("unknown verdict {other:?}"),
        }),
    }
}

//! The weekly digest: whose is due, what their teams did, and its mail, made once however many workers see it due.

use super::account_mails::{SealedMail, make};
use super::handle;
use crate::system::call;
use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use holdfast_domain::ids::{TeamId, UserId};
use sea_orm::{DbBackend, FromQueryResult, Statement, TransactionTrait};

handle! {
    /// What the team did.
    Digests, digests
}

/// A digest that is due.
#[derive(Clone, Debug, FromQueryResult)]
pub struct DueDigest {
    /// Whose.
    pub user_id: i64,
    /// Where that person lives.
    pub timezone: String,
    /// When it was due.
    pub due_at: DateTime<Utc>,
    /// That person's teams, by name.
    pub team_ids: Vec<i64>,
}

impl DueDigest {
    /// That person's teams, by name.
    pub fn teams(&self) -> impl Iterator<Item = TeamId> {
        self.team_ids.iter().copied().map(TeamId)
    }
}

/// What a team's runs came to within a week.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct WeekFigures {
    /// The team's name.
    pub team: String,
    /// Runs that ended, cancelled ones left out.
    pub runs: i64,
    /// Of them failed.
    pub failed: i64,
    /// Of them reached only some destinations.
    pub partial: i64,
    /// Of them succeeded with warnings.
    pub warned: i64,
    /// What they stored.
    pub stored_bytes: i64,
    /// Tasks that are not deleted.
    pub tasks: i64,
}

/// A task's last success.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct LastSuccess {
    /// The task.
    pub label: String,
    /// None: there never was one.
    pub at: Option<DateTime<Utc>>,
    /// Nothing is expected of it.
    pub is_paused: bool,
}

impl Store {
    /// Digests that are due at `now`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn due_digests(&self, now: DateTime<Utc>, at_most: i32) -> Result<Vec<DueDigest>, StoreError> {
        let statement = call("SELECT * FROM due_digests($1, $2)", [now.into(), at_most.into()]);
        Ok(DueDigest::find_by_statement(statement).all(self.db()).await?)
    }

    /// Makes a digest's mail and says when the next one is due; nothing where somebody made it meanwhile.
    ///
    /// # Errors
    /// The database failed.
    pub async fn add_digest(
        &self,
        due: &DueDigest,
        next_at: Option<DateTime<Utc>>,
        mail: SealedMail,
    ) -> Result<(), StoreError> {
        let values = [due.user_id.into(), due.due_at.into(), next_at.into(), mail.seal_id.into(), mail.payload.into()];
        let txn = self.db().begin().await?;
        make(&txn, call("SELECT add_digest($1, $2, $3, $4, $5)", values)).await?;
        Ok(txn.commit().await?)
    }
}

impl Digests<'_> {
    /// What ended from `since` on and before `until`; none where the team is gone.
    ///
    /// # Errors
    /// The database failed.
    pub async fn week(&self, since: DateTime<Utc>, until: DateTime<Utc>) -> Result<Option<WeekFigures>, StoreError> {
        let sql = "SELECT g.name AS team, count(r.id) AS runs, count(*) FILTER (WHERE r.status = 'failed') AS failed,
                          count(*) FILTER (WHERE r.status = 'partial') AS partial,
                          count(*) FILTER (WHERE r.status = 'succeeded_with_warnings') AS warned,
                          coalesce(sum(b.stored_size), 0)::bigint AS stored_bytes,
                          (SELECT count(*) FROM backup_tasks t WHERE t.team_id = g.id AND t.deleted_at IS NULL) AS tasks
                   FROM teams g
                   LEFT JOIN backup_runs r ON r.team_id = g.id AND r.completed_at >= $2 AND r.completed_at < $3
                     AND r.status IN ('succeeded', 'succeeded_with_warnings', 'partial', 'failed')
                   LEFT JOIN backups b ON b.backup_run_id = r.id AND b.team_id = g.id
                   WHERE g.id = $1 GROUP BY g.id, g.name";
        let values = [self.0.team_id().0.into(), since.into(), until.into()];
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        Ok(WeekFigures::find_by_statement(statement).one(self.0.conn()).await?)
    }

    /// Tasks and their last success, the oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn last_successes(&self, at_most: i64) -> Result<Vec<LastSuccess>, StoreError> {
        let sql = "SELECT t.label, t.paused_at IS NOT NULL AS is_paused,
                          (SELECT max(r.completed_at) FROM backup_runs r
                           WHERE r.backup_task_id = t.id AND r.team_id = t.team_id
                             AND r.status IN ('succeeded', 'succeeded_with_warnings')) AS at
                   FROM backup_tasks t WHERE t.team_id = $1 AND t.deleted_at IS NULL
                   ORDER BY at NULLS FIRST, t.id LIMIT $2";
        let values = [self.0.team_id().0.into(), at_most.into()];
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        Ok(LastSuccess::find_by_statement(statement).all(self.0.conn()).await?)
    }

    /// When a person's next digest is due; none where none is wanted.
    ///
    /// # Errors
    /// The database failed.
    pub async fn set_next(&self, user: UserId, at: Option<DateTime<Utc>>) -> Result<(), StoreError> {
        self.0.change("UPDATE users SET next_digest_at = $2 WHERE id = $1", [user.0.into(), at.into()]).await?;
        Ok(())
    }
}

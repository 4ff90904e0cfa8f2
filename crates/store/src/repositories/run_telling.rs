//! What a run's start and end are told as. Called in the transaction that starts or ends it, after its rows are written;
//! a fault here never changes the run (see [`TeamTx::aside`]).

use super::outbox::News;
use crate::{StoreError, TeamTx};
use chrono::{DateTime, Utc};
use holdfast_domain::ids::{BackupRunId, BackupTaskId};
use holdfast_domain::notification::{EventKind, Message, Ping};
use holdfast_domain::run::RunStatus;
use holdfast_domain::telling::{About, RunEnd, STILL_FAILING_AT, run_end};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement};

/// A run and what came of it.
#[derive(FromQueryResult)]
struct Told {
    backup_task_id: i64,
    ulid: String,
    status: String,
    error_message: Option<String>,
    warning_count: i64,
    started_at: Option<DateTime<Utc>>,
    completed_at: Option<DateTime<Utc>>,
    stored_size: Option<i64>,
    is_doubtful: Option<bool>,
}

/// One destination of a run.
#[derive(FromQueryResult)]
struct Reached {
    label: String,
    /// None: there is no backup.
    state: Option<String>,
    error_message: Option<String>,
}

impl TeamTx {
    /// Tells that a run began, once, however often it is begun.
    pub(crate) async fn tell_run_started(&self, id: BackupRunId) -> Result<(), StoreError> {
        self.aside(self.ping(id, "start", |_| Some(Ping::Start))).await?;
        self.aside(async {
            let told = self.told(id).await?;
            let about = About::Task(BackupTaskId(told.backup_task_id));
            let receivers = self.outbox().receivers(about).await?;
            if receivers.is_empty() {
                return Ok(());
            }
            let mut message = self.outbox().message(about, format!("run_{}_started", told.ulid)).await?;
            message.state = Some(RunStatus::Running.as_str().to_owned());
            message.destinations = self.reached(id).await?.into_iter().map(|reached| reached.label).collect();
            let news = News { about, events: &[EventKind::Started], message: &message, is_absence: false };
            self.outbox().announce_to(&receivers, news).await?;
            Ok(())
        })
        .await
    }

    /// Tells how a run ended. `ends_absence`: the task was overdue, and whoever heard of that hears of this.
    pub(crate) async fn tell_run_ended(&self, id: BackupRunId, ends_absence: bool) -> Result<(), StoreError> {
        self.aside(self.ping(id, "end", ping_of)).await?;
        self.aside(self.announce_end(id, ends_absence)).await
    }

    /// Signals to the task's dead man's switch what the run's state makes of it.
    async fn ping(
        &self,
        id: BackupRunId,
        moment: &str,
        of: impl Fn(RunStatus) -> Option<Ping>,
    ) -> Result<(), StoreError> {
        let told = self.told(id).await?;
        let status: RunStatus = told.status.parse().map_err(|_| inconsistent(id, "unknown status"))?;
        let Some(ping) = of(status) else { return Ok(()) };
        let message_id = format!("ping_{}_{moment}", told.ulid);
        self.outbox().ping(BackupTaskId(told.backup_task_id), ping, message_id).await
    }

    /// Tells that a due time of a task made no run of its own.
    ///
    /// # Errors
    /// The database failed.
    pub async fn tell_missed(&self, task: BackupTaskId, due: DateTime<Utc>, reason: String) -> Result<(), StoreError> {
        self.aside(async {
            let about = About::Task(task);
            let id = format!("task_{task}_missed_{}", due.timestamp());
            let message = Message { reason: Some(reason), ..self.outbox().message(about, id).await? };
            self.outbox().announce(about, &[EventKind::Missed], &message).await?;
            Ok(())
        })
        .await
    }

    /// Tells that a task's schedule cannot be read, so that it does not run by itself any more: whatever a stream chose and,
    /// where no stream hears of the task, the team's owner.
    ///
    /// # Errors
    /// The database failed.
    pub async fn tell_unscheduled(
        &self,
        task: BackupTaskId,
        due: DateTime<Utc>,
        reason: String,
    ) -> Result<(), StoreError> {
        self.aside(async {
            let about = About::Task(task);
            let id = format!("task_{task}_unscheduled_{}", due.timestamp());
            let message = self.outbox().message(about, id).await?;
            let title = format!("{} is not scheduled any more", message.task.as_deref().unwrap_or("A task"));
            let message = Message { reason: Some(reason), title, ..message };
            self.outbox().announce(about, &[EventKind::Overdue], &message).await?;
            Ok(())
        })
        .await
    }

    async fn announce_end(&self, id: BackupRunId, ends_absence: bool) -> Result<(), StoreError> {
        let told = self.told(id).await?;
        let about = About::Task(BackupTaskId(told.backup_task_id));
        let receivers = self.outbox().receivers(about).await?;
        if receivers.is_empty() && !ends_absence {
            return Ok(());
        }
        let status: RunStatus = told.status.parse().map_err(|_| inconsistent(id, "unknown status"))?;
        let before = self.statuses_before(id, told.backup_task_id).await?;
        let failures_before = before.iter().take_while(|status| *status == RunStatus::Failed.as_str()).count() as u64;
        let end = RunEnd {
            status,
            is_doubtful: told.is_doubtful.unwrap_or(false),
            failures_in_a_row: if status == RunStatus::Failed { failures_before + 1 } else { 0 },
            was_failing: ends_absence
                || before.first().is_some_and(|status| matches!(status.as_str(), "failed" | "partial")),
        };
        let events = run_end(end);
        if events.is_empty() {
            return Ok(());
        }
        let reached = self.reached(id).await?;
        let mut message = self.outbox().message(about, format!("run_{}_ended", told.ulid)).await?;
        message.destinations = reached.iter().map(outcome).collect();
        message.state = Some(told.status.clone());
        message.reason = reason(&told, status, &reached);
        message.size_bytes = told.stored_size.and_then(|size| u64::try_from(size).ok());
        message.duration_ms = duration_ms(&told);
        if STILL_FAILING_AT.contains(&end.failures_in_a_row) {
            message.lines.push(format!("{} failures in a row.", end.failures_in_a_row));
        }
        if ends_absence {
            message.lines.push("It was overdue.".to_owned());
        }
        let news = News { about, events: &events, message: &message, is_absence: ends_absence };
        self.outbox().announce_to(&receivers, news).await?;
        Ok(())
    }

    async fn told(&self, id: BackupRunId) -> Result<Told, StoreError> {
        let sql = "SELECT r.backup_task_id, r.ulid, r.status, r.error_message, r.warning_count, r.started_at,
                          r.completed_at, b.stored_size, b.is_doubtful
                   FROM backup_runs r LEFT JOIN backups b ON b.backup_run_id = r.id
                   WHERE r.id = $1 AND r.team_id = $2";
        let told = Told::find_by_statement(self.of_run(sql, id)).one(self.conn()).await?;
        told.ok_or_else(|| inconsistent(id, "the row is gone"))
    }

    /// States of the runs before it that ended one way or the other, the newest first; one more than is looked at.
    async fn statuses_before(&self, id: BackupRunId, task: i64) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT status FROM backup_runs
                   WHERE backup_task_id = $3 AND team_id = $2 AND id < $1
                     AND status IN ('succeeded', 'succeeded_with_warnings', 'partial', 'failed')
                   ORDER BY id DESC LIMIT $4";
        let most = STILL_FAILING_AT.iter().max().copied().unwrap_or(0);
        let values = [id.0.into(), self.team_id().0.into(), task.into(), i64::try_from(most).unwrap_or(0).into()];
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        let rows = self.conn().query_all_raw(statement).await?;
        rows.iter().map(|row| Ok(row.try_get("", "status")?)).collect()
    }

    /// What became of each destination; what was wanted where there is no backup.
    async fn reached(&self, id: BackupRunId) -> Result<Vec<Reached>, StoreError> {
        let sql = "SELECT d.label, c.state, c.error_message
                   FROM backups b JOIN backup_copies c ON c.backup_id = b.id
                   JOIN backup_destinations d ON d.id = c.backup_destination_id
                   WHERE b.backup_run_id = $1 AND b.team_id = $2 ORDER BY c.id";
        let reached = Reached::find_by_statement(self.of_run(sql, id)).all(self.conn()).await?;
        if !reached.is_empty() {
            return Ok(reached);
        }
        let sql = "SELECT d.label, NULL::text AS state, NULL::text AS error_message
                   FROM backup_runs r JOIN backup_destinations d ON d.team_id = r.team_id
                   WHERE r.id = $1 AND r.team_id = $2
                     AND d.id = ANY (coalesce(r.destination_ids, ARRAY(
                         SELECT x.backup_destination_id FROM backup_task_destinations x
                         WHERE x.backup_task_id = r.backup_task_id)))
                   ORDER BY d.id";
        Ok(Reached::find_by_statement(self.of_run(sql, id)).all(self.conn()).await?)
    }

    fn of_run(&self, sql: &'static str, id: BackupRunId) -> Statement {
        Statement::from_sql_and_values(DbBackend::Postgres, sql, [id.0.into(), self.team_id().0.into()])
    }
}

/// None: somebody cancelled it; the switch notices by itself that no success comes.
fn ping_of(status: RunStatus) -> Option<Ping> {
    match status {
        RunStatus::Succeeded | RunStatus::SucceededWithWarnings => Some(Ping::Success),
        RunStatus::Failed | RunStatus::Partial => Some(Ping::Fail),
        _ => None,
    }
}

fn outcome(reached: &Reached) -> String {
    match (reached.state.as_deref(), &reached.error_message) {
        (Some("committed"), _) => format!("{}: stored", reached.label),
        (Some(_), Some(error)) => format!("{}: failed ({error})", reached.label),
        (Some(_), None) => format!("{}: failed", reached.label),
        (None, _) => format!("{}: nothing stored", reached.label),
    }
}

fn reason(told: &Told, status: RunStatus, reached: &[Reached]) -> Option<String> {
    match status {
        RunStatus::Failed => told.error_message.clone(),
        RunStatus::Partial => {
            let failed = reached.iter().filter(|reached| reached.state.as_deref() != Some("committed")).count();
            Some(format!("{failed} of {} destinations failed.", reached.len()))
        }
        _ if told.is_doubtful == Some(true) => Some("It is much smaller than the backups before it.".to_owned()),
        RunStatus::SucceededWithWarnings => Some(match told.warning_count {
            1 => "There was 1 warning; the run's log names it.".to_owned(),
            count => format!("There were {count} warnings; the run's log names them."),
        }),
        _ => None,
    }
}

fn duration_ms(told: &Told) -> Option<u64> {
    let lasted = told.completed_at?.signed_duration_since(told.started_at?);
    u64::try_from(lasted.num_milliseconds()).ok()
}

fn inconsistent(id: BackupRunId, problem: &str) -> StoreError {
    StoreError::Inconsistent { table: "backup_runs", id: id.to_string(), problem: problem.to_owned() }
}

//! A watched row as events need it. It is read before its lines, never after: what ends a run writes both in one
//! transaction, so whoever sees the end then sees every line.

use super::Key;
use crate::views::backup::CopyView;
use crate::views::backup_run::{BackupRunView, LogLineView, ProgressView, RunContext};
use crate::views::restore::RestoreView;
use crate::views::time;
use chrono::{DateTime, Utc};
use holdfast_domain::run::RunStatus;
use holdfast_store::live::Watched;
use holdfast_store::{Access, Store, StoreError, TeamTx, rows};
use serde::Serialize;

/// Lines of one read: a log's lines may be long, and what is read is held until it is sent.
pub(super) const LINES_AT_ONCE: u64 = 100;
/// A row tells of its changes for so long after it was last watched.
const WATCHED_SECS: f64 = 60.0;

/// A line of a log as it is sent.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) number: i32,
    pub(super) json: String,
}

/// The row as it is sent.
#[derive(Clone, Debug)]
pub(super) struct Head {
    /// As the thing's own `GET` shows it.
    pub(super) state: String,
    /// What of it is no figure: when this changes, `state` is sent.
    pub(super) mark: String,
    /// Its figures.
    pub(super) progress: String,
    pub(super) status: String,
    pub(super) is_over: bool,
}

/// What one read found.
pub(super) struct Found {
    pub(super) head: Head,
    /// In order, the first ones after the line that was asked for.
    pub(super) lines: Vec<Line>,
    /// Whether there may be more lines.
    pub(super) has_more: bool,
}

async fn enter(store: &Store, key: Key) -> Result<TeamTx, StoreError> {
    store.for_team(&Access::system(key.team, "live view")).await
}

/// The row, and the number of its last line; with `watch` it is told of from then on. None where there is no such row.
pub(super) async fn first(
    store: &Store,
    now: DateTime<Utc>,
    key: Key,
    watch: bool,
) -> Result<Option<(Head, i32)>, StoreError> {
    let tx = enter(store, key).await?;
    if watch {
        tx.watch(key.subject, WATCHED_SECS).await?;
    }
    let Some(head) = head(&tx, key, now).await? else { return Ok(None) };
    let last = match key.subject {
        Watched::Run(id) => tx.backup_runs().last_line(id).await?,
        Watched::Restore(_) | Watched::Copy(_) => 0,
    };
    tx.commit().await?;
    Ok(Some((head, last)))
}

/// The row and its lines after line `after`. With `watch` it goes on being told of.
pub(super) async fn next(
    store: &Store,
    now: DateTime<Utc>,
    key: Key,
    (after, watch): (i32, bool),
) -> Result<Option<Found>, StoreError> {
    let tx = enter(store, key).await?;
    if watch {
        tx.watch(key.subject, WATCHED_SECS).await?;
    }
    let Some(head) = head(&tx, key, now).await? else { return Ok(None) };
    let lines = lines_of(&tx, key, after).await?;
    tx.commit().await?;
    let has_more = lines.len() as u64 == LINES_AT_ONCE;
    Ok(Some(Found { head, lines, has_more }))
}

/// Some lines after line `after`.
pub(super) async fn lines(store: &Store, key: Key, after: i32) -> Result<Vec<Line>, StoreError> {
    let tx = enter(store, key).await?;
    lines_of(&tx, key, after).await
}

async fn lines_of(tx: &TeamTx, key: Key, after: i32) -> Result<Vec<Line>, StoreError> {
    let Watched::Run(id) = key.subject else { return Ok(Vec::new()) };
    let lines = tx.backup_runs().lines_after(id, after, LINES_AT_ONCE).await?.into_iter().map(|line| Line {
        number: line.line_number,
        json: json(&LogLineView { line_number: line.line_number, at: time::utc(line.at), content: line.content }),
    });
    Ok(lines.collect())
}

async fn head(tx: &TeamTx, key: Key, now: DateTime<Utc>) -> Result<Option<Head>, StoreError> {
    Ok(match key.subject {
        Watched::Run(id) => match tx.backup_runs().find(id).await? {
            Some(row) => Some(of_run(tx, row, now).await?),
            None => None,
        },
        Watched::Restore(id) => tx.restores().find(id).await?.map(|row| of_restore(row, now)),
        Watched::Copy(id) => tx.copy_requests().find(id).await?.map(of_copy),
    })
}

async fn of_run(tx: &TeamTx, row: rows::backup_runs::Model, now: DateTime<Utc>) -> Result<Head, StoreError> {
    let has_logs = tx.backup_runs().with_log(&[row.id]).await?.contains(&row.id);
    let backup_id = tx.backups().of_runs(&[row.id]).await?.get(&row.id).copied();
    Ok(Head {
        mark: format!(
            "{:?}",
            (
                (&row.status, &row.step, row.attempts, &row.owner, &row.error_code),
                (row.started_at, row.completed_at, row.cancel_requested_at, row.process_terminated),
                (has_logs, backup_id, row.warning_count),
            )
        ),
        progress: json(&ProgressView::of(row.progress.clone(), &row.status)),
        status: row.status.clone(),
        is_over: is_over(&row.status),
        state: json(&BackupRunView::of(row, &RunContext { has_logs, backup_id, now })),
    })
}

fn of_restore(row: rows::restores::Model, now: DateTime<Utc>) -> Head {
    Head {
        mark: format!(
            "{:?}",
            (
                (&row.status, &row.step, row.attempts, &row.owner, &row.error_code),
                (row.started_at, row.completed_at, row.cancel_requested_at, row.process_terminated),
            )
        ),
        progress: json(&ProgressView::of(row.progress.clone(), &row.status)),
        status: row.status.clone(),
        is_over: is_over(&row.status),
        state: json(&RestoreView::of(row, now)),
    }
}

fn of_copy(row: rows::backup_copies::Model) -> Head {
    let status = row.state.clone();
    Head {
        mark: format!("{:?}", (&row.state, &row.step, row.attempts, &row.error_code, row.cancel_requested_at)),
        progress: json(&ProgressView::of_copy(row.progress.clone(), &row.state)),
        is_over: !matches!(status.as_str(), "queued" | "running"),
        status,
        state: json(&CopyView::from(row)),
    }
}

fn is_over(status: &str) -> bool {
    status.parse().is_ok_and(RunStatus::is_final)
}

/// Views are plain data: a failure would be a fault of ours, and is said where the data would be.
fn json(view: &impl Serialize) -> String {
    serde_json::to_string(view).unwrap_or_else(|error| {
        tracing::error!(%error, "a view that is no JSON");
        "null".to_owned()
    })
}

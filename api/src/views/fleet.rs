//! Workers and their periodic jobs, as operators see them.

use super::time;
use chrono::TimeDelta;
use holdfast_store::fleet::{HeldRow, ReconcilerRow, WorkerRow};
use serde::Serialize;
use utoipa::ToSchema;

/// One start of a worker's process.
#[derive(Serialize, ToSchema)]
pub struct WorkerView {
    /// Unique to this start.
    name: String,
    /// The product's version there.
    version: String,
    /// The machine's name.
    host: String,
    /// The machine's load average over a minute; null: it does not tell.
    #[schema(required)]
    load_1m: Option<f64>,
    /// How much it has in hand.
    running: i32,
    /// How many runs it executes at once; as many restores and copies besides.
    capacity: i32,
    /// The local stores that it holds.
    store_ids: Vec<String>,
    /// When it was started.
    started_at: String,
    /// When it said last that it lives.
    seen_at: String,
    /// Whether that was just now; one that drains is not counted as alive.
    is_alive: bool,
    /// Since when it takes nothing more and ends; null: it takes work.
    #[schema(required)]
    draining_since: Option<String>,
    /// What it works on.
    holds: HeldView,
}

/// What a worker works on.
#[derive(Default, Serialize, ToSchema)]
pub struct HeldView {
    /// Their ids.
    backup_runs: Vec<i64>,
    /// Their ids.
    restores: Vec<i64>,
    /// Ids of copies that are being made.
    backup_copies: Vec<i64>,
}

impl WorkerView {
    /// The view of `row`, with what is its own of `held`.
    #[must_use]
    pub fn of(row: WorkerRow, held: &[HeldRow]) -> Self {
        let mut holds = HeldView::default();
        for one in held.iter().filter(|one| one.worker == row.name) {
            match one.kind.as_str() {
                "backup_run" => holds.backup_runs.push(one.id),
                "restore" => holds.restores.push(one.id),
                _ => holds.backup_copies.push(one.id),
            }
        }
        Self {
            name: row.name,
            version: row.version,
            host: row.host,
            load_1m: row.load_1m,
            running: row.running,
            capacity: row.capacity,
            store_ids: row.store_ids,
            started_at: time::utc(row.started_at),
            seen_at: time::utc(row.seen_at),
            is_alive: row.is_alive,
            draining_since: time::utc_or_null(row.draining_since),
            holds,
        }
    }
}

/// A periodic job, and its latest round.
#[derive(Serialize, ToSchema)]
pub struct JobView {
    /// Its name.
    name: String,
    /// Seconds from the end of a round to the next one.
    interval_secs: f64,
    /// The worker that ran the latest round.
    worker: String,
    /// When that began.
    last_started_at: String,
    /// When that was over.
    last_ended_at: String,
    /// `succeeded`, `failed`.
    last_result: &'static str,
    /// Why it failed; null: it did not.
    #[schema(required)]
    last_error: Option<String>,
    /// When that worker runs the next one.
    next_run_at: String,
    /// An operator wants a round that has not begun; null: nobody does.
    #[schema(required)]
    requested_at: Option<String>,
    /// The end of the latest round that an operator wanted; null: there was none.
    #[schema(required)]
    forced_at: Option<String>,
}

impl JobView {
    /// The view of `row`.
    #[must_use]
    pub fn of(row: ReconcilerRow) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds of an interval fit")]
        let interval = TimeDelta::milliseconds((row.interval_secs * 1000.0) as i64);
        Self {
            name: row.name,
            interval_secs: row.interval_secs,
            worker: row.worker,
            last_started_at: time::utc(row.started_at),
            last_ended_at: time::utc(row.ended_at),
            last_result: if row.error.is_some() { "failed" } else { "succeeded" },
            last_error: row.error,
            next_run_at: time::utc(row.ended_at + interval),
            requested_at: time::utc_or_null(row.requested_at),
            forced_at: time::utc_or_null(row.forced_at),
        }
    }
}

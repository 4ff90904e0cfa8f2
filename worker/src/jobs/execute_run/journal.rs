//! A run's log and figures while it runs: collected in memory, written every half second. Trouble with writing them
//! never touches the run.

use super::attempt::Attempt;
use holdfast_domain::progress::{DestinationProgress, Progress};
use holdfast_pipeline::{Meter, TargetMeter};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

const WRITE_EVERY: Duration = Duration::from_millis(500);

/// The speed shown is over this long.
const SPEED_OVER: Duration = Duration::from_secs(5);

/// Lines waiting while the database is away; more are dropped.
const LINES_WAITING: usize = 500;

#[derive(Default)]
pub(super) struct Journal {
    lines: Mutex<Vec<String>>,
    figures: Mutex<Figures>,
}

#[derive(Default)]
struct Figures {
    expected: Option<u64>,
    meter: Option<Arc<Meter>>,
    targets: Vec<(i64, Arc<TargetMeter>)>,
    samples: VecDeque<(Instant, u64)>,
}

impl Journal {
    pub(super) fn say(&self, line: String) {
        tracing::debug!("{line}");
        let mut lines = lock(&self.lines);
        if lines.len() < LINES_WAITING {
            lines.push(line);
        }
    }

    /// What the run is measured against: the size of the backup before it.
    pub(super) fn expect(&self, original_size: Option<u64>) {
        lock(&self.figures).expected = original_size;
    }

    pub(super) fn measure(&self, meter: Arc<Meter>, targets: Vec<(i64, Arc<TargetMeter>)>) {
        let mut figures = lock(&self.figures);
        figures.meter = Some(meter);
        figures.targets = targets;
    }

    /// The figures now. The meters only grow, so these never go back within an attempt.
    pub(super) fn progress(&self) -> Progress {
        let mut figures = lock(&self.figures);
        let mut progress = figures.meter.as_ref().map(|meter| meter.progress()).unwrap_or_default();
        progress.total_expected_size = figures.expected.map(|expected| expected.max(progress.original_size));
        progress.bytes_per_second = figures.speed(progress.original_size);
        let destinations = figures.targets.iter().map(|(id, meter)| DestinationProgress {
            backup_destination_id: *id,
            stored_size: meter.stored(),
            state: meter.state().as_str().to_owned(),
        });
        progress.destinations = destinations.collect();
        progress
    }

    /// The lines not written yet.
    pub(super) fn lines(&self) -> Vec<String> {
        lock(&self.lines).clone()
    }

    /// Takes the last line back: it did not become true.
    pub(super) fn unsay(&self) {
        lock(&self.lines).pop();
    }

    pub(super) fn take_lines(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.lines))
    }

    pub(super) async fn keep(&self, attempt: &Attempt, done: &CancellationToken) {
        loop {
            tokio::select! {
                () = done.cancelled() => return,
                () = tokio::time::sleep(WRITE_EVERY) => {}
            }
            let lines = self.take_lines();
            tokio::select! {
                () = done.cancelled() => {
                    // Cut off in the middle: whether they were written is unknown, and once too often is better.
                    self.put_back(lines);
                    return;
                }
                written = write(attempt, &lines, self.progress()) => if let Err(error) = written {
                    tracing::debug!(?error, "log and progress could not be written");
                    self.put_back(lines);
                }
            }
        }
    }

    fn put_back(&self, mut older: Vec<String>) {
        let mut lines = lock(&self.lines);
        older.append(&mut lines);
        older.truncate(LINES_WAITING);
        *lines = older;
    }
}

async fn write(attempt: &Attempt, lines: &[String], progress: Progress) -> Result<(), holdfast_store::StoreError> {
    let tx = attempt.context.store.for_team(&attempt.access).await?;
    tx.append_run_lines(attempt.run_id, attempt.epoch, lines).await?;
    tx.run_execution(attempt.run_id, attempt.epoch).progress(&progress).await?;
    tx.commit().await
}

impl Figures {
    fn speed(&mut self, original_size: u64) -> u64 {
        let now = Instant::now();
        self.samples.push_back((now, original_size));
        while self.samples.len() > 2 && self.samples.get(1).is_some_and(|(at, _)| now - *at >= SPEED_OVER) {
            self.samples.pop_front();
        }
        let Some((at, size)) = self.samples.front() else { return 0 };
        let millis = u64::try_from((now - *at).as_millis()).unwrap_or(u64::MAX);
        (original_size.saturating_sub(*size) * 1000).checked_div(millis).unwrap_or(0)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_could_not_be_written_keep_their_place() {
        let journal = Journal::default();
        journal.say("first".to_owned());
        let taken = journal.take_lines();
        journal.say("second".to_owned());
        journal.put_back(taken);
        assert_eq!(journal.take_lines(), ["first", "second"]);
    }
}

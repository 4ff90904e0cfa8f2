//! A run's log and figures while it runs: collected in memory, written every half second. Trouble with writing them
//! never touches the run.

use super::attempt::Attempt;
use holdfast_domain::failure::printable;
use holdfast_domain::progress::{DestinationProgress, Progress};
use holdfast_pipeline::{Meter, TargetMeter, TargetState};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

const WRITE_EVERY: Duration = Duration::from_millis(500);

/// The speed shown is over this long.
const SPEED_OVER: Duration = Duration::from_secs(5);

/// Lines waiting while the database is away; more are dropped.
const LINES_WAITING: usize = 500;

/// Longest name shown of the stream being read.
const NAME_MAX_CHARS: usize = 300;

#[derive(Default)]
pub(super) struct Journal {
    lines: Mutex<Vec<String>>,
    figures: Mutex<Figures>,
}

/// Sums over the streams of the run.
#[derive(Default)]
struct Figures {
    expected: Option<u64>,
    streams: usize,
    meters: Vec<Arc<Meter>>,
    /// What is being read, where the bytes do not tell it.
    reading: Option<String>,
    tables: u64,
    targets: Vec<TargetFigures>,
    samples: VecDeque<(Instant, u64)>,
}

/// One destination's part: a meter for each stream that it was given.
struct TargetFigures {
    id: i64,
    meters: Vec<Arc<TargetMeter>>,
    is_out: bool,
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

    /// How many streams there will be: a destination is done when it has them all.
    pub(super) fn expect_streams(&self, count: usize) {
        lock(&self.figures).streams = count;
    }

    /// What is read next, where the bytes do not tell it.
    pub(super) fn reading(&self, name: Option<String>) {
        lock(&self.figures).reading = name.map(|name| printable(&name, NAME_MAX_CHARS));
    }

    /// Tables of a dump that ended well.
    pub(super) fn add_tables(&self, count: u64) {
        lock(&self.figures).tables += count;
    }

    /// A stream begins.
    pub(super) fn measure(&self, meter: Arc<Meter>, targets: Vec<(i64, Arc<TargetMeter>)>) {
        let mut figures = lock(&self.figures);
        figures.meters.push(meter);
        for (id, meter) in targets {
            match figures.targets.iter_mut().find(|target| target.id == id) {
                Some(target) => target.meters.push(meter),
                None => figures.targets.push(TargetFigures { id, meters: vec![meter], is_out: false }),
            }
        }
    }

    /// A destination gets nothing more.
    pub(super) fn leave_out(&self, id: i64) {
        let mut figures = lock(&self.figures);
        match figures.targets.iter_mut().find(|target| target.id == id) {
            Some(target) => target.is_out = true,
            None => figures.targets.push(TargetFigures { id, meters: Vec::new(), is_out: true }),
        }
    }

    /// The figures now. The meters only grow, so these never go back within an attempt.
    pub(super) fn progress(&self) -> Progress {
        let mut figures = lock(&self.figures);
        let mut progress = figures.sum();
        progress.total_expected_size = figures.expected.map(|expected| expected.max(progress.original_size));
        progress.bytes_per_second = figures.speed(progress.original_size);
        let streams = figures.streams;
        progress.destinations = figures.targets.iter().map(|target| target.progress(streams)).collect();
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

impl TargetFigures {
    fn progress(&self, streams: usize) -> DestinationProgress {
        let is_failed = self.is_out || self.meters.iter().any(|meter| meter.state() == TargetState::Failed);
        let last = self.meters.last().map_or(TargetState::Writing, |meter| meter.state());
        let state = match last {
            _ if is_failed => TargetState::Failed,
            // Between two streams.
            TargetState::Committed if self.meters.len() < streams => TargetState::Writing,
            last => last,
        };
        DestinationProgress {
            backup_destination_id: self.id,
            stored_size: self.meters.iter().map(|meter| meter.stored()).sum(),
            state: state.as_str().to_owned(),
        }
    }
}

impl Figures {
    fn sum(&self) -> Progress {
        let mut sum = Progress { nfiles: self.tables, ..Progress::default() };
        for meter in &self.meters {
            sum.original_size += meter.original();
            sum.compressed_size += meter.compressed();
            sum.stored_size += meter.stored();
            sum.nfiles += meter.nfiles();
        }
        let entry = self.meters.last().and_then(|meter| meter.current_file());
        sum.current_file = entry.or_else(|| self.reading.clone());
        sum
    }

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

    #[test]
    fn a_destination_that_is_out_says_so_and_one_between_two_streams_is_not_done() {
        let journal = Journal::default();
        journal.expect_streams(2);
        journal.measure(Arc::default(), vec![(1, Arc::default()), (2, Arc::default())]);
        journal.leave_out(2);
        journal.leave_out(3);
        let states: Vec<(i64, String)> =
            journal.progress().destinations.into_iter().map(|d| (d.backup_destination_id, d.state)).collect();
        let expected = [(1, "writing"), (2, "failed"), (3, "failed")];
        assert_eq!(states, expected.map(|(id, state)| (id, state.to_owned())));
        journal.reading(Some("shop\n".to_owned()));
        journal.add_tables(4);
        let progress = journal.progress();
        assert_eq!((progress.nfiles, progress.current_file.as_deref()), (4, Some("shop")));
    }
}

//! A run's log and figures while it runs: collected in memory, written every half second. Trouble with writing them
//! never touches the run.

use super::attempt::Attempt;
use holdfast_domain::failure::printable;
use holdfast_domain::progress::{DestinationProgress, Progress};
use holdfast_pipeline::{Meter, TargetMeter, TargetState};
use holdfast_store::repositories::run_log::SaidLines;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

const WRITE_EVERY: Duration = Duration::from_millis(500);
/// A write that takes longer is given up: the end of the run waits for it.
const WRITE_WITHIN: Duration = Duration::from_secs(10);

/// The speed shown is over this long.
const SPEED_OVER: Duration = Duration::from_secs(5);

/// Lines waiting while the database is away; more are dropped.
const LINES_WAITING: usize = 500;

/// Longest name shown of the stream being read.
const NAME_MAX_CHARS: usize = 300;

#[derive(Default)]
pub(super) struct Journal {
    lines: Mutex<Waiting>,
    figures: Mutex<Figures>,
    /// Held from taking lines to knowing whether they are written: their places in the log are taken in this order.
    writing: tokio::sync::Mutex<()>,
}

/// Lines that are not written yet.
#[derive(Default)]
struct Waiting {
    said: SaidLines,
    /// How many there was no room for since the last that is there.
    left_out: usize,
}

/// Sums over the streams of the run.
#[derive(Default)]
struct Figures {
    expected: Option<u64>,
    /// How far an earlier attempt came.
    floor: Progress,
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
        let mut waiting = lock(&self.lines);
        if waiting.said.lines.len() >= LINES_WAITING {
            waiting.left_out += 1;
            return;
        }
        let left_out = std::mem::take(&mut waiting.left_out);
        if left_out > 0 {
            waiting.said.lines.push(format!("{left_out} lines are missing here: the database was away."));
        }
        waiting.said.lines.push(line);
    }

    /// An earlier attempt came so far: what is shown does not go back behind it.
    pub(super) fn go_on_from(&self, floor: Progress) {
        lock(&self.figures).floor = floor;
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

    /// What is shown now.
    pub(super) fn progress(&self) -> Progress {
        let own = self.own_progress();
        own.raised_to(&lock(&self.figures).floor)
    }

    /// This attempt's own figures. The meters only grow, so these never go back.
    pub(super) fn own_progress(&self) -> Progress {
        let mut figures = lock(&self.figures);
        let mut progress = figures.sum();
        progress.total_expected_size = figures.expected.map(|expected| expected.max(progress.original_size));
        progress.bytes_per_second = figures.speed(progress.original_size);
        let streams = figures.streams;
        progress.destinations = figures.targets.iter().map(|target| target.progress(streams)).collect();
        progress
    }

    /// Waits for a write that is under way; until the guard is dropped no other begins.
    pub(super) async fn writing(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.writing.lock().await
    }

    /// The lines not written yet.
    pub(super) fn lines(&self) -> SaidLines {
        lock(&self.lines).said.clone()
    }

    /// Takes the last line back: it did not become true.
    pub(super) fn unsay(&self) {
        lock(&self.lines).said.lines.pop();
    }

    pub(super) fn take_lines(&self) -> SaidLines {
        let said = &mut lock(&self.lines).said;
        let next = said.from + i32::try_from(said.lines.len()).unwrap_or(i32::MAX);
        std::mem::replace(said, SaidLines { from: next, lines: Vec::new() })
    }

    pub(super) async fn keep(&self, attempt: &Attempt, done: &CancellationToken) {
        loop {
            tokio::select! {
                () = done.cancelled() => return,
                () = tokio::time::sleep(WRITE_EVERY) => {}
            }
            let _writing = self.writing().await;
            let lines = self.take_lines();
            let written = tokio::select! {
                // Cut off in the middle: whether they were written is unknown. The log knows them by their places.
                () = done.cancelled() => false,
                written = tokio::time::timeout(WRITE_WITHIN, write(attempt, &lines, self.progress())) => match written {
                    Ok(Ok(())) => true,
                    Ok(Err(error)) => {
                        tracing::debug!(?error, "log and progress could not be written");
                        false
                    }
                    Err(_) => false,
                },
            };
            if !written {
                self.put_back(lines);
            }
        }
    }

    /// Lines that were taken and are not known to be written.
    pub(super) fn put_back(&self, mut older: SaidLines) {
        let mut waiting = lock(&self.lines);
        older.lines.append(&mut waiting.said.lines);
        waiting.left_out += older.lines.len().saturating_sub(LINES_WAITING);
        older.lines.truncate(LINES_WAITING);
        waiting.said = older;
    }
}

async fn write(attempt: &Attempt, lines: &SaidLines, progress: Progress) -> Result<(), holdfast_store::StoreError> {
    let tx = attempt.context.store.for_team(&attempt.access).await?;
    tx.append_said_lines(attempt.run_id, attempt.epoch, lines, false).await?;
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
        let all = journal.take_lines();
        assert_eq!((all.from, all.lines), (0, vec!["first".to_owned(), "second".to_owned()]));
        journal.say("third".to_owned());
        assert_eq!(journal.take_lines().from, 2);
    }

    #[test]
    fn lines_that_there_was_no_room_for_are_counted() {
        let journal = Journal::default();
        for n in 0..LINES_WAITING + 3 {
            journal.say(n.to_string());
        }
        let taken = journal.take_lines();
        journal.say("late".to_owned());
        assert_eq!(taken.lines.len(), LINES_WAITING);
        assert_eq!(journal.lines().lines, ["3 lines are missing here: the database was away.", "late"]);
        journal.put_back(taken);
        assert_eq!(journal.take_lines().lines.len(), LINES_WAITING);
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

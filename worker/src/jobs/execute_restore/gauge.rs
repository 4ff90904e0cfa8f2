//! How far a restore is, for whoever polls it.

use super::Job;
use holdfast_domain::progress::Progress;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often the row is written.
const WRITE_EVERY: Duration = Duration::from_secs(1);

/// The counters of one attempt.
#[derive(Default)]
pub struct Gauge {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    progress: Progress,
    /// How far an earlier attempt, or this one from another copy, came.
    floor: Progress,
    written: Option<(Instant, u64)>,
}

impl Gauge {
    /// What is shown so far.
    pub fn progress(&self) -> Progress {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.progress.clone().raised_to(&state.floor)
    }

    /// The figures of what was restored, whatever was read before it.
    pub fn own_progress(&self) -> Progress {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).progress.clone()
    }

    /// An earlier attempt came so far: what is shown does not go back behind it.
    pub fn go_on_from(&self, floor: Progress) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).floor = floor;
    }

    /// It begins anew, from another copy perhaps.
    pub fn restart(&self, total_expected_size: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.floor = std::mem::take(&mut state.progress).raised_to(&state.floor);
        state.progress.total_expected_size = Some(total_expected_size);
        state.written = None;
    }

    /// Changes the figures.
    pub fn set(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner).progress);
    }

    /// The figures, when it is time to write them again.
    fn due(&self, now: Instant) -> Option<Progress> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let size = state.progress.original_size;
        let (since, before) = *state.written.get_or_insert((now, size));
        let passed = now.saturating_duration_since(since);
        if passed < WRITE_EVERY {
            return None;
        }
        state.written = Some((now, size));
        let millis = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX).max(1);
        state.progress.bytes_per_second = size.saturating_sub(before).saturating_mul(1000) / millis;
        Some(state.progress.clone().raised_to(&state.floor))
    }
}

impl Job {
    /// Writes the figures if it is time. A failure is logged and nothing else: the next one comes in a second, and the
    /// lease is kept elsewhere.
    pub async fn show_progress(&self) {
        let Some(progress) = self.gauge.due(Instant::now()) else {
            return;
        };
        let written = async {
            let tx = self.context.store.for_team(&self.access).await?;
            tx.restore_execution(self.id, self.epoch).note_progress(&progress).await?;
            tx.commit().await
        };
        if let Err(error) = written.await {
            tracing::warn!(restore = %self.id, %error, "progress could not be written");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_is_written_once_a_second_with_the_speed_of_that_second() {
        let (gauge, start) = (Gauge::default(), Instant::now());
        assert_eq!(gauge.due(start), None);
        gauge.set(|p| p.original_size = 4_000_000);
        assert_eq!(gauge.due(start + Duration::from_millis(900)), None);
        let shown = gauge.due(start + Duration::from_secs(2)).map(|p| p.bytes_per_second);
        assert_eq!(shown, Some(2_000_000));
        assert_eq!(gauge.due(start + Duration::from_millis(2500)), None);
    }

    #[test]
    fn another_copy_begins_at_nothing_and_shows_what_was_reached() {
        let gauge = Gauge::default();
        gauge.restart(100);
        gauge.set(|p| p.original_size = 60);
        gauge.restart(100);
        gauge.set(|p| p.original_size = 10);
        let shown = gauge.progress();
        assert_eq!((shown.original_size, shown.attempt_original_size), (60, Some(10)));
        gauge.set(|p| p.original_size = 100);
        assert_eq!((gauge.progress().original_size, gauge.own_progress().original_size), (100, 100));
    }
}

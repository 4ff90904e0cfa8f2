//! What something that became true is called, and about what it is. Pure: what the store reads comes in, and one run's end
//! is one event for each receiver, however many names it has.

use crate::ids::{BackupDestinationId, BackupTaskId, RemoteServerId};
use crate::notification::EventKind;
use crate::run::RunStatus;

/// What is told of; it decides who is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// Everything: streams of the whole team alone.
    Team,
    /// A task: streams attached to it too.
    Task(BackupTaskId),
    /// A server: streams attached to a task that reads it too.
    Server(RemoteServerId),
    /// A destination: streams attached to a task that writes there too.
    Destination(BackupDestinationId),
}

/// Failures in a row at which "still failing" is said.
pub const STILL_FAILING_AT: &[u64] = &[3, 7];

/// What is known of a run that ended.
#[derive(Clone, Copy, Debug)]
pub struct RunEnd {
    /// How it ended.
    pub status: RunStatus,
    /// Its backup is much smaller than those before it.
    pub is_doubtful: bool,
    /// Failed runs in a row, this one too.
    pub failures_in_a_row: u64,
    /// The run before it failed, or reached only some destinations.
    pub was_failing: bool,
}

/// What it is called, the most telling name first; a receiver is told the first that it wants, once. Empty where nobody is
/// told: a run that somebody cancelled.
#[must_use]
pub fn run_end(end: RunEnd) -> Vec<EventKind> {
    let mut events = Vec::new();
    match end.status {
        RunStatus::Failed => {
            if STILL_FAILING_AT.contains(&end.failures_in_a_row) {
                events.push(EventKind::StillFailing);
            }
            events.push(EventKind::Failure);
        }
        RunStatus::Partial => events.push(EventKind::Partial),
        RunStatus::Succeeded | RunStatus::SucceededWithWarnings => {
            if end.was_failing {
                events.push(EventKind::Recovered);
            }
            let is_clean = end.status == RunStatus::Succeeded;
            events.push(if is_clean { EventKind::Success } else { EventKind::Warning });
        }
        _ => return events,
    }
    if end.is_doubtful {
        events.insert(0, EventKind::SuspiciouslySmall);
    }
    events
}

/// The first of `events` that a receiver `wants`; the first of all where it is told whatever it chose.
#[must_use]
pub fn told(events: &[EventKind], wants: &[EventKind], is_told_anyway: bool) -> Option<EventKind> {
    let wanted = events.iter().find(|event| wants.contains(event)).copied();
    wanted.or_else(|| events.first().copied().filter(|_| is_told_anyway))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn end(status: RunStatus, failures_in_a_row: u64, was_failing: bool) -> Vec<EventKind> {
        run_end(RunEnd { status, is_doubtful: false, failures_in_a_row, was_failing })
    }

    #[test]
    fn the_third_and_the_seventh_failure_have_a_name_of_their_own() {
        let named = |n| end(RunStatus::Failed, n, n > 1).contains(&EventKind::StillFailing);
        assert_eq!((1..=10).filter(|n| named(*n)).collect::<Vec<_>>(), [3, 7]);
    }

    #[test]
    fn a_success_after_a_failure_is_news_and_a_cancelled_run_is_none() {
        assert_eq!(end(RunStatus::Succeeded, 0, true), [EventKind::Recovered, EventKind::Success]);
        assert_eq!(end(RunStatus::Succeeded, 0, false), [EventKind::Success]);
        assert!(end(RunStatus::Cancelled, 0, true).is_empty());
    }

    proptest! {
        /// Whatever histories bring: who wants failures is told of each failed run once, and of no other run.
        #[test]
        fn each_failed_run_is_exactly_one_failure_alert(history in prop::collection::vec(0_usize..4, 1..60),
                                                        wants_still in any::<bool>()) {
            let states = [RunStatus::Succeeded, RunStatus::SucceededWithWarnings, RunStatus::Partial, RunStatus::Failed];
            let mut wants = vec![EventKind::Failure];
            if wants_still {
                wants.push(EventKind::StillFailing);
            }
            let (mut in_a_row, mut was_failing) = (0, false);
            for at in history {
                let status = states[at];
                in_a_row = if status == RunStatus::Failed { in_a_row + 1 } else { 0 };
                let events = run_end(RunEnd { status, is_doubtful: false, failures_in_a_row: in_a_row, was_failing });
                prop_assert_eq!(told(&events, &wants, false).is_some(), status == RunStatus::Failed);
                was_failing = matches!(status, RunStatus::Failed | RunStatus::Partial);
            }
        }
    }
}

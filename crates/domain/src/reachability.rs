//! When a server or destination counts as out of reach, and when as back. Pure. One failed try is no news, and tries that
//! fail together (the tasks of one night, three attempts of one run) count as one.

use crate::FailureCode;
use chrono::{DateTime, TimeDelta, Utc};

/// Failed tries before anybody is told.
const FAILURES: i32 = 2;
/// A try that fails sooner after the last failed one is not counted: it says the same.
const APART_SECS: i64 = 10;

/// Something that failed to answer the last time it was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreached {
    /// Failed tries in a row, those that came together counted once.
    pub failures: i32,
    /// The first of them.
    pub failing_since: DateTime<Utc>,
    /// The last that was counted.
    pub counted_at: DateTime<Utc>,
    /// People were told.
    pub is_told: bool,
}

/// What people are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReachChange {
    /// It does not answer any more.
    Lost,
    /// It answers again.
    Back,
}

/// After one more try: what is known then (none: it answers), and what is told.
#[must_use]
pub fn after_try(
    before: Option<Unreached>,
    is_reached: bool,
    now: DateTime<Utc>,
) -> (Option<Unreached>, Option<ReachChange>) {
    if is_reached {
        return (None, before.filter(|before| before.is_told).map(|_| ReachChange::Back));
    }
    let Some(before) = before else {
        let first = Unreached { failures: 1, failing_since: now, counted_at: now, is_told: false };
        return (Some(first), None);
    };
    if now.signed_duration_since(before.counted_at) < TimeDelta::seconds(APART_SECS) {
        return (Some(before), None);
    }
    let failures = before.failures.saturating_add(1);
    let is_lost = failures >= FAILURES;
    let after = Unreached { failures, counted_at: now, is_told: is_lost, ..before };
    (Some(after), (is_lost && !before.is_told).then_some(ReachChange::Lost))
}

/// Whether a connection to a server that ended with `code` reached it; none where it tells nothing.
#[must_use]
pub fn is_server_reached(code: FailureCode) -> Option<bool> {
    use FailureCode::{
        AuthenticationFailed, ConnectFailed, ConnectionLost, HandshakeFailed, HostKeyChanged, HostKeyUnconfirmed,
        ServerUnknown, Stalled,
    };
    match code {
        HostKeyUnconfirmed | HostKeyChanged | AuthenticationFailed => Some(true),
        ServerUnknown | ConnectFailed | HandshakeFailed | ConnectionLost | Stalled => Some(false),
        _ => None,
    }
}

/// Whether `code` says that nothing can be put at a destination; none where it tells nothing about that.
#[must_use]
pub fn is_destination_reached(code: FailureCode) -> Option<bool> {
    use FailureCode::{DestinationFailed, DestinationMissing, DestinationRefused, StoreOffline};
    match code {
        DestinationFailed | DestinationMissing | DestinationRefused | StoreOffline => Some(false),
        FailureCode::DestinationFull | FailureCode::LowSpace => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is told over a history of tries, each so many seconds after the one before it.
    fn told(tries: &[(i64, bool)]) -> Vec<(usize, ReachChange)> {
        let (mut now, mut state, mut told) = (DateTime::<Utc>::UNIX_EPOCH, None, Vec::new());
        for (at, (secs, is_reached)) in tries.iter().enumerate() {
            now += TimeDelta::seconds(*secs);
            let (next, change) = after_try(state, *is_reached, now);
            state = next;
            told.extend(change.map(|change| (at, change)));
        }
        told
    }

    #[test]
    fn one_failure_and_failures_that_come_together_are_no_news() {
        use ReachChange::{Back, Lost};
        assert_eq!(told(&[(0, false), (60, true), (60, false), (60, true)]), []);
        assert_eq!(told(&[(0, false), (3, false), (3, false), (60, true)]), []);
        assert_eq!(told(&[(0, false), (60, false), (60, false), (60, true), (60, true)]), [(1, Lost), (3, Back)]);
        // A slow drip of failures is not one failure for ever.
        assert_eq!(told(&[(0, false), (6, false), (6, false)]), [(2, Lost)]);
    }

    proptest! {
        #[test]
        fn lost_and_back_take_turns_and_back_comes_at_the_first_answer(
            tries in prop::collection::vec((0_i64..120, any::<bool>()), 0..80),
        ) {
            let told = told(&tries);
            for (n, (at, change)) in told.iter().enumerate() {
                let expected = if n % 2 == 0 { ReachChange::Lost } else { ReachChange::Back };
                prop_assert_eq!(*change, expected);
                prop_assert_eq!(tries[*at].1, expected == ReachChange::Back);
            }
            for pair in told.chunks(2) {
                let until = pair.get(1).map_or(tries.len(), |(at, _)| *at);
                prop_assert!(tries[pair[0].0..until].iter().all(|(_, is_reached)| !is_reached));
            }
        }
    }
}

//! When a server or destination counts as out of reach, and when as back. Pure. One failed try is no news, and tries that
//! fail together (the tasks of one night, three attempts of one run) count as one.

use crate::FailureCode;
use chrono::{DateTime, TimeDelta, Utc};
use std::time::Duration;

/// Failed tries before anybody is told.
const FAILURES: i32 = 2;
/// A try that fails sooner after the last failed one is not counted: it says the same.
const APART_SECS: i64 = 10;
/// The second look at what failed once.
const FAILED_ONCE_AGAIN: Duration = Duration::from_secs(300);
/// The next look at a server that refused us.
const REFUSED_AGAIN: Duration = Duration::from_secs(12 * 3600);
/// The longest wait for a look at what is gone.
const GONE_AGAIN: Duration = Duration::from_secs(12 * 3600);

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

/// How a look at a server or destination ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// It answered.
    Answered,
    /// It did not, or not well.
    Failed,
    /// It refused the log-in: somebody has to change something, and trying on may shut us out.
    Refused,
}

/// How long the next look may wait that is due every `every`, after one that ended so, with so many failures in a row:
/// soon after the first, since one failure is no news; then later each time.
#[must_use]
pub fn look_again_after(every: Duration, look: Look, failures: i32) -> Duration {
    match (look, failures) {
        (Look::Answered, _) | (Look::Failed, ..=0) => every,
        (Look::Refused, _) => every.max(REFUSED_AGAIN),
        (Look::Failed, 1) => every.min(FAILED_ONCE_AGAIN),
        (Look::Failed, failures) => {
            let longer = every.saturating_mul(1 << failures.clamp(2, 7).saturating_sub(2));
            longer.min(GONE_AGAIN).max(every)
        }
    }
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

    #[test]
    fn what_is_gone_is_asked_less_and_less_and_a_refused_log_in_hardly_ever() {
        let hour = Duration::from_secs(3600);
        let after = |failures| look_again_after(hour, Look::Failed, failures);
        assert_eq!(look_again_after(hour, Look::Answered, 0), hour);
        let waits = [1, 2, 3, 4, 5, 6, 9, i32::MAX].map(|failures| after(failures).as_secs());
        assert_eq!(waits, [300, 3600, 7200, 14_400, 28_800, 43_200, 43_200, 43_200]);
        assert_eq!(look_again_after(hour, Look::Refused, 0), Duration::from_secs(43_200));
        let week = hour * 168;
        assert_eq!((look_again_after(week, Look::Refused, 0), look_again_after(week, Look::Failed, 9)), (week, week));
        assert_eq!(look_again_after(Duration::from_secs(1), Look::Failed, 1), Duration::from_secs(1));
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

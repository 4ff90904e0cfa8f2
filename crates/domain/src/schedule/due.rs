//! What becomes of a due time when a scheduler comes to it. The scheduler writes down what stands here in one transaction,
//! and the simulation (tests/scheduling.rs) runs the same code. Nothing here may lose a slot: each is run, made up for by
//! another run, or recorded.

use super::{CatchUp, Schedule};
use chrono::{DateTime, TimeDelta, Utc};

/// Further due times that passed are counted up to here.
const PASSED_MAX: usize = 100;

/// A slot, and when its run is queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// What the rule names; a run is known by it.
    pub slot: DateTime<Utc>,
    /// Its start: not before the slot.
    pub at: DateTime<Utc>,
}

/// When a start counts as late, and what is done then.
#[derive(Clone, Copy, Debug)]
pub struct LateRule {
    /// Until so long after its start a run is on time.
    pub late_after: TimeDelta,
    /// Over so long what is made up for is spread.
    pub spread: TimeDelta,
}

/// A due time that nobody saw to yet.
#[derive(Clone, Copy, Debug)]
pub struct Owed {
    /// Which, and since when it is due.
    pub due: Due,
    /// Since when the schedule holds as it stands: what it would have named before is none of its slots.
    pub since: DateTime<Utc>,
    /// The task's word for what was missed.
    pub catch_up: CatchUp,
    /// What makes the task's starts its own: the same for a task, for ever.
    pub seed: u128,
}

/// How things are when the scheduler comes to it.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The database's clock.
    pub now: DateTime<Utc>,
    /// Whether the team is suspended.
    pub is_suspended: bool,
    /// Whether a run of the task is active.
    pub is_active: bool,
    /// Whether the team's copies take all the bytes that they may.
    pub is_full: bool,
    /// Whether the team may have one more run now.
    pub has_room: bool,
}

/// What becomes of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A run waits for a worker.
    Queued,
    /// It made no run, and why.
    Skipped(&'static str),
    /// It passed, and nothing makes up for it.
    Missed,
}

impl Outcome {
    /// `backup_runs.status`.
    #[must_use]
    pub fn status(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Skipped(_) => "skipped",
            Self::Missed => "missed",
        }
    }

    /// `backup_runs.error_message`.
    #[must_use]
    pub fn why(self) -> Option<&'static str> {
        match self {
            Self::Queued => None,
            Self::Skipped(why) => Some(why),
            Self::Missed => Some("Its time passed while nothing could run it."),
        }
    }
}

/// The row that a slot gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// Which slot.
    pub slot: DateTime<Utc>,
    /// What became of it.
    pub outcome: Outcome,
}

/// What a scheduler does about an owed slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing: it stays due until one of the team's runs ends.
    Wait,
    /// Writes rows and when the task is due next, and tells the team.
    Go {
        /// One for each slot that is recorded.
        made: Vec<Made>,
        /// When it is due next; none = never again.
        next: Option<Due>,
        /// What the team is told, in a sentence.
        news: Option<String>,
    },
}

impl Schedule {
    /// The first slot strictly after `now`, and its start.
    #[must_use]
    pub fn due_after(&self, now: DateTime<Utc>, seed: u128) -> Option<Due> {
        let slot = self.next_after(now)?;
        Some(Due { slot, at: self.start_of(slot, seed) })
    }

    /// When the run of `slot` is queued: so long after it that neither the next slot nor the end of the window is reached.
    #[must_use]
    pub fn start_of(&self, slot: DateTime<Utc>, seed: u128) -> DateTime<Utc> {
        if self.jitter.is_zero() {
            return slot;
        }
        let second = TimeDelta::seconds(1);
        let mut most = self.jitter;
        if let Some(next) = self.next_after(slot) {
            most = most.min(next - slot - second);
        }
        if self.window.is_some() {
            most = most.min(self.closing_after(slot).map_or(TimeDelta::zero(), |closing| closing - slot - second));
        }
        slot + within(most, seed, slot)
    }

    /// What is due once this schedule holds, from `now` on: a slot `owed` that came before the change, or before the task was
    /// paused, still is; else the first one after `now`. A schedule that runs by hand alone owes nothing.
    #[must_use]
    pub fn due_after_change(
        &self,
        owed: Option<Due>,
        paused_at: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
        seed: u128,
    ) -> Option<Due> {
        let owed = owed.filter(|due| due.slot <= paused_at.unwrap_or(now) && !self.is_manual());
        owed.or_else(|| self.due_after(now, seed))
    }

    /// What to do about `owed`.
    #[must_use]
    pub fn step(&self, owed: &Owed, facts: &Facts, rule: LateRule) -> Step {
        let next = self.pending(owed, facts.now);
        if facts.is_suspended {
            return Step::Go { made: Vec::new(), next, news: None };
        }
        let passed = self.passed(owed, facts.now);
        let late = facts.now - owed.due.at > rule.late_after;
        match owed.catch_up {
            CatchUp::Skip => return self.skip(owed, &passed, facts, rule),
            _ if late => {
                let at = self.made_up_at(owed, next, facts.now, rule);
                if at > facts.now && next.is_none_or(|next| at < next.at) {
                    return Step::Go { made: Vec::new(), next: Some(Due { slot: owed.due.slot, at }), news: None };
                }
                if at > facts.now {
                    let made = vec![Made { slot: owed.due.slot, outcome: Outcome::Missed }];
                    return Step::Go { made, next, news: Some(missed(passed.len() + 1)) };
                }
            }
            _ => {}
        }
        let outcome = match outcome(facts) {
            None => return Step::Wait,
            Some(outcome) => outcome,
        };
        let news = match outcome {
            Outcome::Skipped(why) => Some(why.to_owned()),
            _ => made_up(passed.len()),
        };
        Step::Go { made: vec![Made { slot: owed.due.slot, outcome }], next, news }
    }

    /// Every slot whose time to begin has passed is recorded; the last one runs if it is not late.
    fn skip(&self, owed: &Owed, passed: &[Due], facts: &Facts, rule: LateRule) -> Step {
        let mut slots = vec![owed.due];
        slots.extend(passed);
        let next = self.pending(owed, facts.now);
        let last = slots[slots.len() - 1];
        let is_last_on_time = facts.now - last.at <= rule.late_after && passed.len() < PASSED_MAX;
        let mut made: Vec<Made> = slots.iter().map(|due| Made { slot: due.slot, outcome: Outcome::Missed }).collect();
        let mut skipped = None;
        if is_last_on_time {
            let Some(outcome) = outcome(facts) else { return Step::Wait };
            if let Outcome::Skipped(why) = outcome {
                skipped = Some(why.to_owned());
            }
            made[slots.len() - 1].outcome = outcome;
        }
        let count = slots.len() - usize::from(is_last_on_time);
        let news = if count > 0 { Some(missed(count)) } else { skipped };
        Step::Go { made, next, news }
    }

    /// When a late run is to begin: `now`, or later.
    fn made_up_at(&self, owed: &Owed, next: Option<Due>, now: DateTime<Utc>, rule: LateRule) -> DateTime<Utc> {
        let begins = self.opening_from(now).unwrap_or(now);
        if owed.catch_up != CatchUp::Spread {
            return begins;
        }
        let second = TimeDelta::seconds(1);
        let mut most = rule.spread;
        if let Some(next) = next {
            most = most.min(next.at - begins - second);
        }
        if let Some(closing) = self.closing_after(begins) {
            most = most.min(closing - begins - second);
        }
        begins + within(most, owed.seed, owed.due.slot)
    }

    /// Further slots that are due at `now`, the first [`PASSED_MAX`] of them.
    fn passed(&self, owed: &Owed, now: DateTime<Utc>) -> Vec<Due> {
        let next = |due: &Due| self.due_after(due.slot, owed.seed);
        std::iter::successors(self.due_after(owed.due.slot.max(owed.since), owed.seed), next)
            .take_while(|due| due.at <= now)
            .take(PASSED_MAX)
            .collect()
    }

    /// The first slot after the owed one that is not due at `now` yet.
    fn pending(&self, owed: &Owed, now: DateTime<Utc>) -> Option<Due> {
        // What lies further back than the jitter has begun.
        let begun = now - self.jitter - TimeDelta::seconds(1);
        let mut due = self.due_after(owed.due.slot.max(owed.since).max(begun), owed.seed)?;
        while due.at <= now {
            due = self.due_after(due.slot, owed.seed)?;
        }
        Some(due)
    }
}

/// What becomes of a slot that is to run now; none: it waits.
fn outcome(facts: &Facts) -> Option<Outcome> {
    if facts.is_active {
        return Some(Outcome::Skipped("Another run of this task was active when it was due."));
    }
    if !facts.has_room {
        return None;
    }
    let full = "The team's copies take all the bytes that they may.";
    Some(if facts.is_full { Outcome::Skipped(full) } else { Outcome::Queued })
}

fn made_up(passed: usize) -> Option<String> {
    let many = if passed == PASSED_MAX { "or more " } else { "" };
    match passed {
        0 => None,
        1 => {
            Some("One due time passed while nothing could run it; the run that begins now makes up for it.".to_owned())
        }
        passed => Some(format!(
            "{passed} {many}due times passed while nothing could run them; the run that begins now makes up for all."
        )),
    }
}

fn missed(count: usize) -> String {
    let many = if count > PASSED_MAX { "or more " } else { "" };
    match count {
        1 => "A due time passed while nothing could run it; nothing makes up for it.".to_owned(),
        count => format!("{count} {many}due times passed while nothing could run them; nothing makes up for them."),
    }
}

/// A span from nothing to `most`, in whole seconds, that is the same for the same task and slot: on every worker and in
/// every version, so no library's hash.
fn within(most: TimeDelta, seed: u128, slot: DateTime<Utc>) -> TimeDelta {
    let Ok(most @ 1..) = u64::try_from(most.num_seconds()) else { return TimeDelta::zero() };
    let [high, low] = [(seed >> 64) as u64, seed as u64];
    let mixed = mix(mix(high) ^ mix(low ^ 0x9e37_79b9_7f4a_7c15) ^ slot.timestamp().cast_unsigned());
    TimeDelta::seconds((mixed % (most + 1)).cast_signed())
}

/// The finaliser of splitmix64.
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

//! Invariant 2 over random histories: whatever happened to a task's copies, and whatever its settings became, nothing goes
//! that may not. The oracle below knows nothing of how the plan is made: it looks at the world as it is at the moment
//! in which a copy goes.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Destinations of the task, before some are pointed elsewhere.
const PLACES: usize = 2;

#[derive(Clone, Debug)]
enum Event {
    /// A run ended with copies of this quality at the places of the mask; at the others it failed.
    Run(Quality, u8),
    /// A run that brought nothing.
    FailedRun,
    /// A copy without verification.
    Unverified(u8),
    Upload(u8),
    /// A copy turns out to be damaged.
    Corrupt(prop::sample::Index),
    Hold(prop::sample::Index, bool),
    Read(prop::sample::Index, bool),
    Settings(Rule),
    /// A place becomes another one, where nothing lies yet.
    Repoint(usize),
    /// The clock jumps by so many seconds, back too.
    Jump(i64),
    Prune,
    /// Two at once: both look, then both act. What the first marked the second does not see as committed.
    PruneTwice,
    /// The bin's time is over.
    EmptyBin,
    BringBack(prop::sample::Index),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Committed,
    Binned,
    Gone,
}

#[derive(Clone, Debug)]
struct Lying {
    place: u32,
    state: State,
    copy: Copy,
}

#[derive(Debug)]
struct World {
    places: Vec<u32>,
    all: Vec<Lying>,
    rule: Rule,
    now: DateTime<Utc>,
    backups: i64,
    next_place: u32,
}

impl World {
    fn new() -> Self {
        let places: Vec<u32> = (0..PLACES as u32).collect();
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap_or_default();
        Self { places, all: Vec::new(), rule: Rule::default(), now, backups: 0, next_place: PLACES as u32 }
    }

    fn add(&mut self, mask: u8, change: impl Fn(&mut Copy)) {
        self.backups += 1;
        for (position, place) in self.places.clone().into_iter().enumerate() {
            if mask & (1 << position) == 0 {
                continue;
            }
            let mut copy = Copy {
                copy_id: BackupCopyId(self.all.len() as i64),
                backup_id: BackupId(self.backups),
                created_at: self.now,
                is_sound: true,
                quality: Quality::Clean,
                is_held: false,
                is_uploaded: false,
                is_being_read: false,
            };
            change(&mut copy);
            self.all.push(Lying { place, state: State::Committed, copy });
        }
    }

    fn pick(&mut self, index: prop::sample::Index) -> Option<&mut Lying> {
        let count = self.all.len();
        (count > 0).then(|| &mut self.all[index.index(count)])
    }

    fn change(&mut self, index: prop::sample::Index, change: impl Fn(&mut Copy)) {
        if let Some(lying) = self.pick(index) {
            change(&mut lying.copy);
        }
    }

    fn committed(&self, place: u32) -> Vec<Copy> {
        let here = |lying: &&Lying| lying.place == place && lying.state == State::Committed;
        self.all.iter().filter(here).map(|lying| lying.copy.clone()).collect()
    }

    fn known_places(&self) -> BTreeSet<u32> {
        self.all.iter().map(|lying| lying.place).collect()
    }

    fn plans(&self) -> Vec<Decision> {
        let plan_of = |place: u32| plan(&self.committed(place), &self.rule, self.now);
        self.known_places().into_iter().flat_map(plan_of).collect()
    }

    fn act(&mut self, decisions: Vec<Decision>) {
        for decision in decisions {
            let position = decision.copy_id.0 as usize;
            let to = match decision.verdict {
                Verdict::Keep(_) => continue,
                Verdict::Recycle(_) => State::Binned,
                Verdict::Delete(_) => State::Gone,
            };
            if self.all[position].state != State::Committed {
                continue;
            }
            self.may_go(position);
            self.all[position].state = to;
        }
    }

    fn empty_bin(&mut self) {
        for place in self.known_places() {
            let binned: Vec<Binned> = self
                .all
                .iter()
                .filter(|lying| lying.place == place && lying.state == State::Binned)
                .map(|lying| Binned { copy: lying.copy.clone(), is_asked_for: false })
                .collect();
            for decision in plan_bin(&self.committed(place), &binned) {
                if !decision.verdict.keeps() {
                    let position = decision.copy_id.0 as usize;
                    self.may_go(position);
                    self.all[position].state = State::Gone;
                }
            }
        }
    }

    /// Invariant 2, said without the plan's words.
    fn may_go(&self, position: usize) {
        let gone = &self.all[position];
        let of_runs = self.all.iter().filter(|l| {
            l.place == gone.place
                && l.state == State::Committed
                && !l.copy.is_uploaded
                && l.copy.copy_id != gone.copy.copy_id
        });
        let newer: Vec<&Copy> = of_runs.map(|l| &l.copy).filter(|c| c.backup_id > gone.copy.backup_id).collect();
        assert!(!gone.copy.is_held && !gone.copy.is_uploaded && !gone.copy.is_being_read, "protected: {gone:?}");
        assert!(newer.iter().any(|c| c.is_sound), "no newer verified copy at the place: {gone:?}");
        if gone.copy.quality == Quality::Clean {
            assert!(newer.iter().any(|c| c.quality == Quality::Clean), "the newest clean one goes: {gone:?}");
            let has_sound = newer.iter().any(|c| c.quality == Quality::Clean && c.is_sound);
            assert!(has_sound || !gone.copy.is_sound, "the newest clean and verified one goes: {gone:?}");
        }
        if gone.copy.quality != Quality::Doubtful {
            let others = newer.iter().any(|c| c.is_sound && c.quality != Quality::Doubtful);
            assert!(others, "only shrunken ones follow: {gone:?}");
        }
    }

    /// At most `keep_last` of each kind stay without a reason of their own.
    fn is_tight(&self) {
        for decision in self.plans() {
            let Verdict::Keep(reasons) = decision.verdict else { continue };
            assert!(!reasons.is_empty(), "a copy stays for no reason");
            if reasons == [KeepReason::WithinLimits] && self.rule.keep_last > 0 {
                let copy = &self.all[decision.copy_id.0 as usize];
                let better = self.committed(copy.place).into_iter().filter(|c| {
                    c.backup_id > copy.copy.backup_id
                        && c.is_sound
                        && !c.is_held
                        && !c.is_uploaded
                        && (c.quality != Quality::Doubtful || copy.copy.quality == Quality::Doubtful)
                });
                assert!(better.count() < self.rule.keep_last as usize, "too many stay");
            }
        }
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Run(quality, mask) => self.add(mask, |copy| copy.quality = quality),
            Event::FailedRun => self.backups += 1,
            Event::Unverified(mask) => self.add(mask, |copy| copy.is_sound = false),
            Event::Upload(mask) => self.add(mask, |copy| copy.is_uploaded = true),
            Event::Corrupt(index) => self.change(index, |copy| copy.is_sound = false),
            Event::Hold(index, held) => self.change(index, |copy| copy.is_held = held),
            Event::Read(index, read) => self.change(index, |copy| copy.is_being_read = read),
            Event::Settings(rule) => self.rule = rule,
            Event::Repoint(position) => {
                self.places[position % PLACES] = self.next_place;
                self.next_place += 1;
            }
            Event::Jump(secs) => self.now += TimeDelta::seconds(secs),
            Event::Prune => self.prune(1),
            Event::PruneTwice => self.prune(2),
            Event::EmptyBin => self.empty_bin(),
            Event::BringBack(index) => {
                if let Some(lying) = self.pick(index).filter(|lying| lying.state == State::Binned) {
                    lying.state = State::Committed;
                }
            }
        }
        self.now += TimeDelta::seconds(3600);
    }

    fn prune(&mut self, times: usize) {
        let plans: Vec<Vec<Decision>> = (0..times).map(|_| self.plans()).collect();
        for plan in plans {
            self.act(plan);
        }
        assert!(self.plans().iter().all(|d| d.verdict.keeps()), "a repeated prune takes more");
        self.is_tight();
    }
}

fn quality() -> impl Strategy<Value = Quality> {
    prop_oneof![3 => Just(Quality::Clean), 2 => Just(Quality::Flawed), 1 => Just(Quality::Doubtful)]
}

fn rule() -> impl Strategy<Value = Rule> {
    (0u32..5, prop::option::of(0i64..40_000), 0u32..4, prop_oneof![Just(0i64), Just(3600)]).prop_map(
        |(keep_last, max_age_secs, floor, recycle_secs)| Rule { keep_last, max_age_secs, floor, recycle_secs },
    )
}

fn event() -> impl Strategy<Value = Event> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        8 => (quality(), 0u8..4).prop_map(|(q, mask)| Event::Run(q, mask)),
        1 => Just(Event::FailedRun),
        1 => (0u8..4).prop_map(Event::Unverified),
        1 => (0u8..4).prop_map(Event::Upload),
        3 => index().prop_map(Event::Corrupt),
        2 => (index(), any::<bool>()).prop_map(|(i, held)| Event::Hold(i, held)),
        1 => (index(), any::<bool>()).prop_map(|(i, read)| Event::Read(i, read)),
        2 => rule().prop_map(Event::Settings),
        1 => (0..PLACES).prop_map(Event::Repoint),
        1 => (-400_000_000i64..400_000_000).prop_map(Event::Jump),
        4 => Just(Event::Prune),
        2 => Just(Event::PruneTwice),
        2 => Just(Event::EmptyBin),
        1 => index().prop_map(Event::BringBack),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_happens_nothing_goes_that_must_stay(events in prop::collection::vec(event(), 1..120)) {
        let mut world = World::new();
        for event in events {
            world.apply(event);
        }
    }

    #[test]
    fn of_a_history_without_trouble_exactly_the_rule_stays(count in 1i64..80, rule in rule()) {
        let mut world = World::new();
        for _ in 0..count {
            world.apply(Event::Run(Quality::Clean, 3));
        }
        let rule = Rule { max_age_secs: None, ..rule };
        world.apply(Event::Settings(rule));
        world.apply(Event::Prune);
        let wanted = if rule.keep_last == 0 { count } else { count.min(i64::from(rule.keep_last.max(rule.floor))) };
        for place in 0..PLACES as u32 {
            prop_assert_eq!(world.committed(place).len() as i64, wanted);
        }
    }

    #[test]
    fn the_order_in_which_copies_are_told_does_not_matter(
        qualities in prop::collection::vec((quality(), any::<bool>()), 1..20), rule in rule(), turn in 0usize..20,
    ) {
        let mut world = World::new();
        for (quality, is_sound) in qualities {
            world.add(1, |copy| { copy.quality = quality; copy.is_sound = is_sound; });
        }
        let mut copies = world.committed(0);
        let expected = plan(&copies, &rule, world.now);
        let len = copies.len();
        copies.rotate_left(turn % len);
        copies.reverse();
        prop_assert_eq!(plan(&copies, &rule, world.now), expected);
    }
}

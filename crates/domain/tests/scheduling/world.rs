//! The model: tables, a queue, schedulers, workers and a user, one step at a time by a seeded hand, with crashes and pauses
//! between any two steps.
//!
//! Real here: which slots there are, their starts, and what becomes of an owed slot, of a change and of a pause
//! ([`Schedule::step`], [`Schedule::due_after_change`]). A model: everything around it. A row lock ends with its holder; what
//! is written in one transaction is written at its end or not at all; the queue delivers at least once, or never where a
//! worker dies; a lease is a time in a row, and a claim raises the epoch. The guards are those of the schema and of the
//! stores' statements.

use chrono::{DateTime, TimeDelta, Utc};
use holdfast_domain::schedule::{CatchUp, Due, Facts, LateRule, Made, Outcome, Owed, Schedule, Step};
use std::collections::{BTreeMap, BTreeSet};

pub type Time = DateTime<Utc>;

const RULE: LateRule = LateRule { late_after: TimeDelta::minutes(5), spread: TimeDelta::hours(1) };
const LEASE: TimeDelta = TimeDelta::seconds(90);
const MAX_ATTEMPTS: u32 = 3;
const STEPS_OF_WORK: u32 = 4;

/// What keeps a slot from being lost or doubled. A test takes one away and the checker must notice.
#[derive(Clone, Copy, Debug)]
pub struct Guards {
    /// `FOR UPDATE SKIP LOCKED` on the task.
    pub row_locks: bool,
    /// `UNIQUE (backup_task_id, scheduled_for)`.
    pub unique_slots: bool,
    /// Run, job and next due time in one transaction.
    pub one_transaction: bool,
    /// `WHERE epoch = $n` in every write of a worker.
    pub fencing: bool,
    /// A slot that came before a change or a pause stays owed.
    pub owed_stays: bool,
    /// The reconciler that finds runs whose job or worker was lost.
    pub strays_found: bool,
}

impl Guards {
    pub const ALL: Self = Self {
        row_locks: true,
        unique_slots: true,
        one_transaction: true,
        fencing: true,
        owed_stays: true,
        strays_found: true,
    };
}

/// A seeded hand: splitmix64.
pub struct Hand(pub u64);

impl Hand {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, many: u64) -> u64 {
        self.bits() % many
    }

    fn index(&mut self, many: usize) -> usize {
        usize::try_from(self.below(many as u64)).unwrap_or(0)
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    fn seconds(&mut self, most: u64) -> TimeDelta {
        TimeDelta::seconds(self.below(most).cast_signed())
    }
}

/// A row of `backup_tasks`, and what its user did to it.
pub struct Task {
    pub schedules: Vec<Schedule>,
    pub catch_up: CatchUp,
    pub seed: u128,
    now_by: usize,
    since: Time,
    due: Option<Due>,
    paused_at: Option<Time>,
    locked_by: Option<usize>,
    /// From when to when which schedule held: what the checker goes by.
    pub held: Vec<(Time, Option<Time>, usize)>,
}

impl Task {
    /// The schedule that held does so no more.
    fn let_go(&mut self, now: Time) {
        if let Some(held) = self.held.last_mut() {
            held.1 = Some(now);
        }
    }

    fn resume(&mut self, owed: Option<Due>, now: Time) {
        self.due = self.schedules[self.now_by].due_after_change(owed, self.paused_at, now, self.seed);
        self.paused_at = None;
        self.since = now;
        self.held.push((now, None, self.now_by));
    }
}

/// A row of `backup_runs`.
#[derive(Clone, Debug)]
pub struct Run {
    pub task: usize,
    pub slot: Time,
    pub created_at: Time,
    pub outcome: Outcome,
    pub is_over: bool,
    pub commits: u32,
    epoch: u32,
    attempts: u32,
    lease_until: Option<Time>,
    job_at: Option<Time>,
}

#[derive(Clone)]
enum At {
    Idle,
    Locked { task: usize, owed: Owed, by: usize, is_active: bool },
    Planned { task: usize, made: Vec<Made>, next: Option<Due> },
    WroteNext { task: usize, made: Vec<Made> },
    Taken { run: usize },
    Working { run: usize, epoch: u32, left: u32 },
}

struct Process {
    is_worker: bool,
    at: At,
    paused_until: Time,
}

pub struct World {
    pub now: Time,
    pub tasks: Vec<Task>,
    pub runs: Vec<Run>,
    has_faults: bool,
    guards: Guards,
    hand: Hand,
    processes: Vec<Process>,
    open: BTreeSet<usize>,
    made: BTreeMap<(usize, Time), usize>,
}

impl World {
    pub fn new(guards: Guards, seed: u64, now: Time, tasks: Vec<(Vec<Schedule>, CatchUp)>) -> Self {
        let task = |(at, (schedules, catch_up)): (usize, (Vec<Schedule>, CatchUp))| {
            let seed = 7 + at as u128 * 0x1_0000_0001;
            let due = schedules[0].due_after(now, seed);
            let held = vec![(now, None, 0)];
            Task { schedules, catch_up, seed, now_by: 0, since: now, due, paused_at: None, locked_by: None, held }
        };
        let process = |n| Process { is_worker: n >= 3, at: At::Idle, paused_until: now };
        Self {
            now,
            tasks: tasks.into_iter().enumerate().map(task).collect(),
            runs: Vec::new(),
            has_faults: true,
            guards,
            hand: Hand(seed),
            processes: (0..6).map(process).collect(),
            open: BTreeSet::new(),
            made: BTreeMap::new(),
        }
    }

    /// One step of somebody, and some time.
    pub fn turn(&mut self) {
        self.pass();
        if self.has_faults && self.hand.one_in(400) {
            self.user();
        }
        if self.has_faults && self.hand.one_in(3_000) {
            self.outage();
        }
        self.find_strays();
        let who = self.hand.index(6);
        if self.processes[who].paused_until > self.now {
            return;
        }
        if self.has_faults && self.hand.one_in(40) {
            self.crash(who);
        } else if self.has_faults && self.hand.one_in(60) {
            self.processes[who].paused_until = self.now + self.hand.seconds(600);
        } else {
            self.step(who);
        }
    }

    /// A little while there is something to do; else until something is.
    fn pass(&mut self) {
        let is_busy = !self.open.is_empty() || self.processes.iter().any(|process| !matches!(process.at, At::Idle));
        let next = self
            .tasks
            .iter()
            .filter(|task| task.paused_at.is_none())
            .filter_map(|task| task.due)
            .map(|due| due.at)
            .min();
        let wakes = self.processes.iter().map(|process| process.paused_until).min();
        let free = next.max(wakes).filter(|at| !is_busy && *at > self.now);
        self.now = match free {
            Some(at) => at + self.hand.seconds(3),
            None => self.now + self.hand.seconds(20),
        };
    }

    fn outage(&mut self) {
        let until = self.now + TimeDelta::minutes(self.hand.below(3 * 24 * 60).cast_signed());
        for who in 0..self.processes.len() {
            self.crash(who);
            self.processes[who].paused_until = until;
        }
    }

    /// What it held in memory and what it had not committed is gone. So may be the job it had taken.
    fn crash(&mut self, who: usize) {
        for task in &mut self.tasks {
            task.locked_by = task.locked_by.filter(|holder| *holder != who);
        }
        if let At::Taken { run } | At::Working { run, .. } = self.processes[who].at {
            self.runs[run].job_at = if self.hand.one_in(3) { None } else { Some(self.now + TimeDelta::minutes(5)) };
        }
        self.processes[who].at = At::Idle;
    }

    fn user(&mut self) {
        let at = self.hand.index(self.tasks.len());
        let act = self.hand.below(3);
        let (now, guards) = (self.now, self.guards);
        let other = self.hand.index(self.tasks[at].schedules.len());
        let task = &mut self.tasks[at];
        if guards.row_locks && task.locked_by.is_some() {
            return;
        }
        let owed = task.due.filter(|_| guards.owed_stays);
        match (act, task.paused_at) {
            (0, None) => {
                task.paused_at = Some(now);
                task.let_go(now);
            }
            (_, Some(_)) => task.resume(owed, now),
            (_, None) if other != task.now_by => {
                task.due = task.schedules[other].due_after_change(owed, None, now, task.seed);
                task.now_by = other;
                task.since = now;
                task.let_go(now);
                task.held.push((now, None, other));
            }
            _ => {}
        }
    }

    /// The end of the faults: what is paused goes on.
    pub fn calm(&mut self) {
        self.has_faults = false;
        let now = self.now;
        for task in self.tasks.iter_mut().filter(|task| task.paused_at.is_some()) {
            task.resume(task.due, now);
        }
    }

    fn step(&mut self, who: usize) {
        let at = std::mem::replace(&mut self.processes[who].at, At::Idle);
        self.processes[who].at = match at {
            At::Idle if self.processes[who].is_worker => self.take_job(),
            At::Idle => self.lock_due(who),
            At::Locked { task, owed, by, is_active } => self.plan(task, &owed, by, is_active),
            At::Planned { task, made, next } => self.write(task, made, next),
            At::WroteNext { task, made } => self.insert(task, made),
            At::Taken { run } => self.claim(run),
            At::Working { run, epoch, left } => self.work(run, epoch, left),
        };
    }

    fn lock_due(&mut self, who: usize) -> At {
        let is_due = |task: &Task| task.paused_at.is_none() && task.due.is_some_and(|due| due.at <= self.now);
        let is_free = |task: &Task| !self.guards.row_locks || task.locked_by.is_none();
        let Some(at) = self.tasks.iter().position(|task| is_due(task) && is_free(task)) else { return At::Idle };
        let is_active = self.open.iter().any(|run| self.runs[*run].task == at);
        let task = &mut self.tasks[at];
        task.locked_by = Some(who);
        let due = task.due.expect("it is due");
        let owed = Owed { due, since: task.since, catch_up: task.catch_up, seed: task.seed };
        At::Locked { task: at, owed, by: task.now_by, is_active }
    }

    fn plan(&mut self, task: usize, owed: &Owed, by: usize, is_active: bool) -> At {
        let facts = Facts { now: self.now, is_suspended: false, is_active, is_full: false, has_room: true };
        match self.tasks[task].schedules[by].step(owed, &facts, RULE) {
            Step::Go { made, next, .. } => At::Planned { task, made, next },
            Step::Wait => unreachable!("there is room"),
        }
    }

    fn write(&mut self, at: usize, made: Vec<Made>, next: Option<Due>) -> At {
        let task = &mut self.tasks[at];
        // `set_next_due`: of what is due alone.
        if task.due.is_some_and(|due| due.at <= self.now) {
            task.due = next;
        }
        let then = At::WroteNext { task: at, made };
        if self.guards.one_transaction
            && let At::WroteNext { task, made } = then
        {
            return self.insert(task, made);
        }
        then
    }

    fn insert(&mut self, at: usize, made: Vec<Made>) -> At {
        for row in made {
            if self.guards.unique_slots && self.made.contains_key(&(at, row.slot)) {
                continue;
            }
            let is_queued = row.outcome == Outcome::Queued;
            self.made.insert((at, row.slot), self.runs.len());
            if is_queued {
                self.open.insert(self.runs.len());
            }
            self.runs.push(Run {
                task: at,
                slot: row.slot,
                created_at: self.now,
                outcome: row.outcome,
                is_over: !is_queued,
                commits: 0,
                epoch: 0,
                attempts: 0,
                lease_until: None,
                job_at: is_queued.then_some(self.now),
            });
        }
        self.tasks[at].locked_by = None;
        At::Idle
    }

    /// A run whose job was lost, or whose worker is, gets another job; one without attempts left is ended.
    fn find_strays(&mut self) {
        if !self.guards.strays_found || !self.hand.one_in(8) {
            return;
        }
        for at in self.open.clone() {
            let run = &mut self.runs[at];
            let is_left = run.lease_until.is_some_and(|until| until < self.now);
            if is_left && run.attempts >= MAX_ATTEMPTS {
                run.is_over = true;
                self.open.remove(&at);
            } else if run.job_at.is_none() && (is_left || run.lease_until.is_none()) {
                run.job_at = Some(self.now);
            }
        }
    }

    fn take_job(&mut self) -> At {
        let job = self.open.iter().copied().find(|run| self.runs[*run].job_at.is_some_and(|at| at <= self.now));
        let Some(run) = job else { return At::Idle };
        // At least once: the queue may hand it to somebody else too.
        self.runs[run].job_at = if self.has_faults && self.hand.one_in(10) { Some(self.now) } else { None };
        At::Taken { run }
    }

    fn claim(&mut self, at: usize) -> At {
        let now = self.now;
        let run = &mut self.runs[at];
        let is_held = run.lease_until.is_some_and(|until| until >= now);
        if run.is_over || is_held || run.attempts >= MAX_ATTEMPTS {
            return At::Idle;
        }
        run.epoch += 1;
        run.attempts += 1;
        run.lease_until = Some(now + LEASE);
        At::Working { run: at, epoch: run.epoch, left: STEPS_OF_WORK }
    }

    fn work(&mut self, at: usize, epoch: u32, left: u32) -> At {
        let now = self.now;
        let run = &mut self.runs[at];
        let is_mine = run.epoch == epoch && !run.is_over;
        if self.guards.fencing && !is_mine {
            return At::Idle;
        }
        if left > 0 {
            run.lease_until = Some(now + LEASE);
            return At::Working { run: at, epoch, left: left - 1 };
        }
        run.commits += 1;
        run.is_over = true;
        self.open.remove(&at);
        At::Idle
    }
}

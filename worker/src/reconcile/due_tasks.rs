//! The scheduler. Runs, jobs and next due times of a batch of tasks are one transaction, so a due time makes one run
//! however many schedulers look. What becomes of a due time is decided by [`holdfast_domain::schedule`]; nothing here may let
//! one task's fault keep another from being scheduled.

use crate::context::WorkerContext;
use chrono::{DateTime, TimeDelta, Utc};
use holdfast_domain::ids::TeamId;
use holdfast_domain::schedule::{Due, Facts, LateRule, Made, Outcome, Owed, Schedule, ScheduleProblem, Step};
use holdfast_store::StoreError;
use holdfast_store::due_tasks::{DueBatch, DueTask, News, Settled};
use holdfast_store::repositories::task_timing::{TaskTiming, seed_of};
use std::collections::HashMap;
use std::time::Duration;

/// Tasks of one transaction.
const BATCH: i32 = 4_000;
/// Batches of one round: nobody else's work waits for ever.
const BATCHES: usize = 1_000;

/// How far ahead a tick looks: what is due until the next one is begun when it is due, and not when somebody looks again.
pub const LOOK_AHEAD: Duration = Duration::from_secs(1);

/// Does nothing where nothing is due within [`LOOK_AHEAD`], which costs one look into an index; else waits for that moment
/// and does a round.
///
/// # Errors
/// See [`reconcile`].
pub async fn tick(context: &WorkerContext) -> Result<(), StoreError> {
    match context.store.next_due_in().await? {
        Some(wait) if wait <= LOOK_AHEAD => {
            tokio::time::sleep(wait).await;
            reconcile(context).await
        }
        _ => Ok(()),
    }
}

/// One round: everything that is due.
///
/// # Errors
/// The database failed; what was done stays done.
pub async fn reconcile(context: &WorkerContext) -> Result<(), StoreError> {
    let limits = context.usual_limits();
    let (mut at_most, mut except) = (BATCH, Vec::new());
    for _ in 0..BATCHES {
        let batch = context.store.lock_due_tasks(at_most, &except, &limits).await?;
        let Some(first) = batch.tasks.first().map(|task| task.id) else { return Ok(()) };
        let count = batch.tasks.len();
        match settle(context, batch).await {
            // What was held up by one of them is taken together again.
            Ok(()) => at_most = at_most.saturating_mul(2).min(BATCH),
            Err(error @ StoreError::Unavailable(_)) => return Err(error),
            Err(error) if count > 1 => {
                tracing::warn!(?error, count, "due tasks could not be settled together");
                at_most = i32::try_from(count / 2).unwrap_or(1).max(1);
            }
            Err(error) => {
                tracing::error!(task = %first, ?error, "a due task could not be settled; the others are");
                except.push(first);
            }
        }
    }
    Ok(())
}

async fn settle(context: &WorkerContext, batch: DueBatch) -> Result<(), StoreError> {
    let settled = Planner::new(context, batch.now).plan(&batch.tasks);
    let count = settled.len();
    let queued = batch.settle(&settled).await?;
    tracing::info!(queued, due = count, "due tasks were seen to");
    Ok(())
}

/// Decides for each task of a batch. A schedule that many have is read once, and room that one takes is gone for the next.
struct Planner<'a> {
    context: &'a WorkerContext,
    now: DateTime<Utc>,
    rule: LateRule,
    schedules: HashMap<&'a TaskTiming, Result<Schedule, ScheduleProblem>>,
    room: HashMap<TeamId, i64>,
}

impl<'a> Planner<'a> {
    fn new(context: &'a WorkerContext, now: DateTime<Utc>) -> Self {
        let span = |duration| TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX);
        let schedule = &context.config.schedule;
        let rule = LateRule { late_after: span(schedule.late_after), spread: span(schedule.spread) };
        Self { context, now, rule, schedules: HashMap::new(), room: HashMap::new() }
    }

    /// Those that wait are left out: they stay due.
    fn plan(mut self, tasks: &'a [DueTask]) -> Vec<Settled> {
        tasks.iter().filter_map(|task| self.one(task)).collect()
    }

    fn one(&mut self, task: &'a DueTask) -> Option<Settled> {
        let schedule = self.schedules.entry(&task.timing).or_insert_with(|| task.timing.schedule());
        let step = match schedule {
            Ok(schedule) => {
                let owed = Owed {
                    due: task.due,
                    since: task.since,
                    catch_up: task.timing.catch_up,
                    seed: seed_of(task.seal_id),
                };
                let room = task.room.map(|room| *self.room.entry(task.team_id).or_insert(room));
                let facts = Facts {
                    now: self.now,
                    is_suspended: task.is_suspended,
                    is_active: task.is_active,
                    is_full: task.is_full,
                    has_room: room.is_none_or(|room| room > 0),
                };
                schedule.step(&owed, &facts, self.rule)
            }
            Err(problem) => {
                let problem = problem.to_string();
                return Some(self.unreadable(task, &problem));
            }
        };
        let Step::Go { made, next, news } = step else { return None };
        if made.iter().any(|row| row.outcome == Outcome::Queued) {
            self.room.entry(task.team_id).and_modify(|room| *room -= 1);
        }
        Some(self.settled(task, made, next, news.map(News::Missed)))
    }

    /// It is due no more until its owner changes it, who is told.
    fn unreadable(&self, task: &DueTask, problem: &str) -> Settled {
        tracing::error!(task = %task.id, problem, "the task's schedule cannot be read");
        let news =
            format!("Its schedule cannot be read: {problem}. It runs by itself again once its schedule is changed.");
        let made = vec![Made { slot: task.due.slot, outcome: Outcome::Missed }];
        self.settled(task, made, None, Some(News::Unreadable(news)))
    }

    fn settled(&self, task: &DueTask, made: Vec<Made>, next: Option<Due>, news: Option<News>) -> Settled {
        let made = made.into_iter().map(|row| (row, self.ulid())).collect();
        Settled { team_id: task.team_id, task: task.id, slot: task.due.slot, made, next, news }
    }

    fn ulid(&self) -> String {
        let millis = u64::try_from(self.now.timestamp_millis()).unwrap_or(0);
        let random = &self.context.random;
        ulid::Ulid::from_parts(millis, u128::from(random.bits()) << 64 | u128::from(random.bits())).to_string()
    }
}

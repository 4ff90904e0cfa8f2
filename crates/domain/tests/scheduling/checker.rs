//! Reads a history: each slot that a task had while it was scheduled became one thing, and nothing else became of it.

use super::world::{Run, Task, Time, World};
use holdfast_domain::schedule::Outcome;
use std::collections::BTreeMap;

/// Everything that is wrong up to `until`, at most a few of each task.
pub fn faults(world: &World, until: Time) -> Vec<String> {
    let mut faults = Vec::new();
    for (at, task) in world.tasks.iter().enumerate() {
        let mut of_slot: BTreeMap<Time, Vec<&Run>> = BTreeMap::new();
        for run in world.runs.iter().filter(|run| run.task == at) {
            of_slot.entry(run.slot).or_default().push(run);
        }
        let intended = intended(task, until);
        let mut found = doubles(&of_slot);
        found.extend(lost(task, &intended, &of_slot));
        let strangers = of_slot.keys().filter(|slot| **slot <= until && intended.binary_search(slot).is_err());
        found.extend(strangers.map(|slot| format!("a run of no slot: {slot}")));
        faults.extend(found.into_iter().take(3).map(|fault| format!("task {at}: {fault}")));
    }
    let endless = world.runs.iter().filter(|run| !run.is_over).take(3);
    faults.extend(endless.map(|run| format!("a run that never ends: {run:?}")));
    faults
}

/// The slots of each schedule for as long as it held and the task was not paused.
fn intended(task: &Task, until: Time) -> Vec<Time> {
    let mut slots: Vec<Time> = Vec::new();
    for (from, to, by) in &task.held {
        let schedule = &task.schedules[*by];
        let end = to.unwrap_or(until).min(until);
        let next = |slot: &Time| schedule.next_after(*slot);
        slots.extend(std::iter::successors(next(from), next).take_while(|slot| *slot <= end));
    }
    slots.sort_unstable();
    slots.dedup();
    slots
}

fn doubles(of_slot: &BTreeMap<Time, Vec<&Run>>) -> Vec<String> {
    let twice = of_slot.iter().filter(|(_, runs)| runs.len() > 1);
    let mut found: Vec<String> =
        twice.map(|(slot, runs)| format!("a doubled slot: {slot} has {} runs", runs.len())).collect();
    let committed = of_slot.values().flatten().filter(|run| run.commits > 1);
    found.extend(committed.map(|run| format!("a doubled commit: {run:?}")));
    found
}

/// A slot has a row; or the run of an earlier one, which was made when this one was due already, makes up for it.
fn lost(task: &Task, intended: &[Time], of_slot: &BTreeMap<Time, Vec<&Run>>) -> Vec<String> {
    let is_made_up_for = |slot: Time| {
        let before = of_slot.range(..slot).next_back();
        before.is_some_and(|(_, runs)| {
            runs.iter().any(|run| {
                run.created_at >= slot && matches!(run.outcome, Outcome::Queued | Outcome::Missed | Outcome::Skipped(_))
            })
        })
    };
    let lost = intended.iter().filter(|slot| !of_slot.contains_key(slot) && !is_made_up_for(**slot));
    lost.map(|slot| format!("a lost slot: {slot} ({:?})", task.catch_up)).collect()
}

//! A simulation of scheduler, leases and queue with a fake clock: thousands of days, crashes and pauses between any two
//! steps, a user who pauses and edits meanwhile. With every guard in place the history has no fault; with one taken away
//! the checker finds one, so it can be believed when it finds none.

#[path = "scheduling/checker.rs"]
mod checker;
#[path = "scheduling/world.rs"]
mod world;

use chrono::TimeDelta;
use holdfast_domain::schedule::{CatchUp, Schedule, ScheduleColumns};
use world::{Guards, Time, World};

const DAYS: i64 = 500;
const SEEDS: u64 = 5;

fn read(columns: ScheduleColumns<'_>) -> Schedule {
    Schedule::from_columns(&columns).expect("a schedule")
}

/// Tasks of every kind. The user switches each between two schedules.
fn tasks() -> Vec<(Vec<Schedule>, CatchUp)> {
    let daily = |time, zone| {
        let columns = ScheduleColumns { frequency: "daily", time_to_run_at: Some(time), ..ScheduleColumns::default() };
        ScheduleColumns { timezone: Some(zone), ..columns }
    };
    let berlin = daily("02:30", "Europe/Berlin");
    let weekly = ScheduleColumns { frequency: "weekly", weekdays: &[0, 3], ..daily("01:30", "America/New_York") };
    let window = ScheduleColumns { window_from: Some("22:00"), window_until: Some("04:00"), ..Default::default() };
    let cron = ScheduleColumns { frequency: "custom", custom_cron: Some("10 */3 * * *"), ..window };
    let from = Some("2026-01-01T00:20:00Z".parse().expect("a time"));
    let interval = ScheduleColumns {
        frequency: "interval",
        interval_secs: Some(7 * 3_600),
        interval_from: from,
        ..Default::default()
    };
    let monthly =
        ScheduleColumns { frequency: "monthly", month_day: Some(31), ..daily("03:00", "Australia/Lord_Howe") };
    vec![
        (vec![read(berlin), read(ScheduleColumns { timezone: None, ..berlin })], CatchUp::Once),
        (vec![read(weekly), read(ScheduleColumns { jitter_secs: 3_600, ..weekly })], CatchUp::Spread),
        (vec![read(cron), read(ScheduleColumns { jitter_secs: 600, ..cron })], CatchUp::Skip),
        (vec![read(interval), read(ScheduleColumns { jitter_secs: 9_000, ..interval })], CatchUp::Skip),
        (vec![read(monthly), read(daily("03:00", "Africa/Casablanca"))], CatchUp::Spread),
    ]
}

/// Days with faults, and then some without, so that everything can end.
fn simulate(guards: Guards, seed: u64) -> (World, Time) {
    let start: Time = "2026-01-05T00:00:00Z".parse().expect("a time");
    let mut world = World::new(guards, seed, start, tasks());
    let end = start + TimeDelta::days(DAYS);
    while world.now < end {
        world.turn();
    }
    world.calm();
    while world.now < end + TimeDelta::days(40) {
        world.turn();
    }
    (world, end)
}

#[test]
fn in_thousands_of_days_of_faults_no_slot_is_lost_or_doubled() {
    let mut runs = 0;
    for seed in 0..SEEDS {
        let (world, end) = simulate(Guards::ALL, seed);
        let faults = checker::faults(&world, end);
        assert!(faults.is_empty(), "seed {seed}:\n{}", faults.join("\n"));
        runs += world.runs.len();
    }
    assert!(runs > 5_000, "{runs}: hardly anything happened");
}

/// Whether some seed shows the fault.
fn is_found(guards: Guards, fault: &str) -> bool {
    (0..SEEDS).any(|seed| {
        let (world, end) = simulate(guards, seed);
        checker::faults(&world, end).iter().any(|found| found.contains(fault))
    })
}

#[test]
fn two_schedulers_without_lock_and_uniqueness_double_a_slot() {
    assert!(is_found(Guards { row_locks: false, unique_slots: false, ..Guards::ALL }, "a doubled slot"));
}

#[test]
fn a_next_time_that_is_written_before_its_run_loses_a_slot() {
    assert!(is_found(Guards { one_transaction: false, ..Guards::ALL }, "a lost slot"));
}

#[test]
fn a_worker_that_wakes_without_fencing_commits_twice() {
    assert!(is_found(Guards { fencing: false, ..Guards::ALL }, "a doubled commit"));
}

#[test]
fn a_change_that_forgets_what_is_owed_loses_a_slot() {
    assert!(is_found(Guards { owed_stays: false, ..Guards::ALL }, "a lost slot"));
}

#[test]
fn a_job_that_is_lost_leaves_a_run_that_never_ends() {
    assert!(is_found(Guards { strays_found: false, ..Guards::ALL }, "a run that never ends"));
}

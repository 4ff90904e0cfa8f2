//! One run for each intended slot, in every zone of the database; windows, jitter, and what becomes of missed slots.

use super::*;
use chrono::{Days, NaiveDate, TimeZone, Timelike};
use proptest::prelude::*;
use std::collections::BTreeSet;

const SEED: u128 = 0x0123_4567_89ab_cdef_0011_2233_4455_6677;
const RULE: LateRule = LateRule { late_after: TimeDelta::minutes(5), spread: TimeDelta::hours(1) };

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn read(columns: ScheduleColumns<'_>) -> Schedule {
    Schedule::from_columns(&columns).unwrap()
}

fn slots(schedule: &Schedule, now: &str, count: usize) -> Vec<String> {
    let first = schedule.next_after(utc(now));
    let times = std::iter::successors(first, |at| schedule.next_after(*at));
    times.take(count).map(|at| at.format("%m-%dT%H:%M").to_string()).collect()
}

fn daily(time: &str) -> ScheduleColumns<'_> {
    ScheduleColumns { frequency: "daily", time_to_run_at: Some(time), ..ScheduleColumns::default() }
}

fn every(secs: i32, from: &str) -> ScheduleColumns<'static> {
    let from = Some(utc(from));
    ScheduleColumns { frequency: "interval", interval_secs: Some(secs), interval_from: from, ..Default::default() }
}

#[test]
fn weekdays_months_hours_and_intervals_name_their_slots() {
    let weekly = ScheduleColumns { frequency: "weekly", weekdays: &[1, 5], ..daily("03:00") };
    assert_eq!(slots(&read(weekly), "2026-11-29T00:00:00Z", 3), ["11-30T03:00", "12-04T03:00", "12-07T03:00"]);
    let monthly = ScheduleColumns { frequency: "monthly", month_day: Some(31), ..daily("03:00") };
    let last = slots(&read(monthly), "2028-01-31T02:00:00Z", 4);
    assert_eq!(last, ["01-31T03:00", "02-29T03:00", "03-31T03:00", "04-30T03:00"], "a month without it has its last");
    let monthly = ScheduleColumns { month_day: Some(29), ..monthly };
    assert_eq!(slots(&read(monthly), "2027-01-30T00:00:00Z", 2), ["02-28T03:00", "03-29T03:00"]);
    let hourly = ScheduleColumns { frequency: "hourly", minute: Some(15), ..ScheduleColumns::default() };
    assert_eq!(slots(&read(hourly), "2026-11-29T10:15:00Z", 2), ["11-29T11:15", "11-29T12:15"]);
    let kolkata = ScheduleColumns { timezone: Some("Asia/Kolkata"), ..hourly };
    assert_eq!(slots(&read(kolkata), "2026-11-29T10:00:00Z", 1), ["11-29T10:45"], "its clocks are half an hour apart");
    let six = every(6 * 3_600, "2026-11-29T01:30:00Z");
    assert_eq!(slots(&read(six), "2026-11-29T00:00:00Z", 3), ["11-29T01:30", "11-29T07:30", "11-29T13:30"]);
    assert_eq!(slots(&read(six), "2027-11-29T01:30:00Z", 1), ["11-29T07:30"], "however long ago it began");
    for secs in [0, 59, 90, -60, INTERVAL_MAX_SECS + 60] {
        assert!(Schedule::from_columns(&every(secs, "2026-11-29T01:30:00Z")).is_err(), "{secs}");
    }
}

#[test]
fn a_window_leaves_out_what_is_outside_of_it() {
    let night = ScheduleColumns { window_from: Some("23:00"), window_until: Some("02:00"), ..Default::default() };
    let hourly = ScheduleColumns { frequency: "hourly", ..night };
    let expected = ["11-29T23:00", "11-30T00:00", "11-30T01:00", "11-30T23:00"];
    assert_eq!(slots(&read(hourly), "2026-11-29T12:00:00Z", 4), expected);
    let cron = ScheduleColumns { frequency: "custom", custom_cron: Some("0,30 * * * *"), ..night };
    assert_eq!(slots(&read(cron), "2026-11-29T12:00:00Z", 3), ["11-29T23:00", "11-29T23:30", "11-30T00:00"]);
    let interval = ScheduleColumns { frequency: "interval", ..every(5 * 3_600, "2026-11-29T00:00:00Z") };
    let interval = ScheduleColumns { window_from: Some("23:00"), window_until: Some("02:00"), ..interval };
    assert_eq!(slots(&read(interval), "2026-11-29T12:00:00Z", 2), ["11-30T01:00", "12-02T23:00"]);
    let never = ScheduleColumns { window_from: Some("01:00"), window_until: Some("05:00"), ..daily("12:00") };
    assert_eq!(read(never).next_after(utc("2026-11-29T12:00:00Z")), None);
    // The slot is in the window; that the clock jumps over it takes it from nobody.
    let gap = ScheduleColumns { timezone: Some("Europe/Berlin"), ..daily("02:30") };
    let gap = ScheduleColumns { window_from: Some("02:00"), window_until: Some("03:00"), ..gap };
    assert_eq!(slots(&read(gap), "2026-03-28T12:00:00Z", 2), ["03-29T01:00", "03-30T00:30"]);
}

#[test]
fn how_often_a_schedule_runs_is_told_by_the_wall() {
    let now = utc("2026-03-28T12:00:00Z");
    let gap = |columns| read(columns).shortest_gap(now).map(|gap| gap.num_seconds());
    let cron = |text| ScheduleColumns { frequency: "custom", custom_cron: Some(text), ..Default::default() };
    assert_eq!(gap(cron("*/5 * * * *")), Some(300));
    let berlin = ScheduleColumns { timezone: Some("Europe/Berlin"), ..cron("30 1,2 * * *") };
    assert_eq!(gap(berlin), Some(3_600), "tomorrow there are 30 minutes between the two");
    assert_eq!(gap(every(420, "2026-11-29T00:00:00Z")), Some(420));
    assert_eq!(gap(ScheduleColumns { frequency: "manual", ..Default::default() }), None);
}

/// The days within two years of 2026-11-29 after which the clocks of a zone differ from those before.
fn changes(zone: Tz) -> Vec<NaiveDate> {
    let first = NaiveDate::from_ymd_opt(2024, 11, 29).unwrap();
    let offset = |date: NaiveDate| {
        use chrono::Offset;
        zone.offset_from_utc_datetime(&date.and_time(chrono::NaiveTime::MIN)).fix().local_minus_utc()
    };
    (0..4 * 365 + 1)
        .map(|day| first + Days::new(day))
        .filter(|date| offset(*date) != offset(*date + Days::new(1)))
        .collect()
}

/// Whatever the clocks of any zone do: each local day has one run of a daily task, each hour that passes one of an hourly
/// task, and those of an interval keep their distance.
#[test]
fn every_zone_of_the_database_has_one_run_for_each_intended_slot() {
    let mut changed = 0;
    for zone in chrono_tz::TZ_VARIANTS {
        let mut days = changes(zone);
        changed += days.len();
        days.push(NaiveDate::from_ymd_opt(2026, 11, 29).unwrap());
        for day in days {
            one_run_each_day(zone, day);
            one_run_each_hour(zone, day);
        }
    }
    assert!(changed > 1_000, "{changed}: the zones have no changes of the clock?");
}

fn one_run_each_day(zone: Tz, day: NaiveDate) {
    let first = day - Days::new(1);
    for half_hour in 0..48 {
        let time = format!("{:02}:{:02}", half_hour / 2, half_hour % 2 * 30);
        let columns = ScheduleColumns { timezone: Some(zone.name()), ..daily(&time) };
        let schedule = read(columns);
        let mut at = instant_of(first.and_time(chrono::NaiveTime::MIN), zone).unwrap() - TimeDelta::seconds(1);
        for date in (0..4).map(|days| first + Days::new(days)) {
            at = schedule.next_after(at).unwrap();
            let local = at.with_timezone(&zone);
            let intended = date.and_time(time.parse::<TimeOfDay>().unwrap().to_naive());
            match zone.from_local_datetime(&intended).earliest() {
                Some(first) => assert_eq!(local, first, "{zone} {time}"),
                // Right after the gap: a second before, the clock had not reached it.
                None => {
                    let before = (at - TimeDelta::seconds(1)).with_timezone(&zone).naive_local();
                    assert!(before < intended && intended < local.naive_local(), "{zone} {time}");
                }
            }
        }
    }
}

fn one_run_each_hour(zone: Tz, day: NaiveDate) {
    let start = day.and_time(chrono::NaiveTime::MIN).and_utc() - TimeDelta::hours(12);
    let hourly =
        ScheduleColumns { frequency: "hourly", minute: Some(40), timezone: Some(zone.name()), ..Default::default() };
    let of = |schedule: &Schedule, count: usize| {
        let times = std::iter::successors(schedule.next_after(start), |at| schedule.next_after(*at));
        times.take(count).collect::<Vec<_>>()
    };
    let hours: BTreeSet<i64> = of(&read(hourly), 48).iter().map(|at| at.timestamp() / 3_600).collect();
    assert_eq!(hours.len(), 48, "{zone}: one in each hour");
    assert_eq!(hours.last().unwrap() - hours.first().unwrap(), 47, "{zone}: and none without");
    let interval = ScheduleColumns { timezone: Some(zone.name()), ..every(5 * 3_600, "2024-01-01T00:20:00Z") };
    let times = of(&read(interval), 20);
    assert!(times.windows(2).all(|two| two[1] - two[0] == TimeDelta::hours(5)), "{zone}");
}

proptest! {
    /// Starts lie within the jitter, before the next slot, in the window, and do not depend on when they are asked.
    #[test]
    fn a_start_is_its_slots_own(
        seed in any::<u128>(), jitter in 1i32..90_000, secs in 60i32..9_000, now in 1_700_000_000i64..1_900_000_000,
        has_window in any::<bool>(),
    ) {
        let window = if has_window { (Some("22:00"), Some("04:00")) } else { (None, None) };
        let columns = ScheduleColumns {
            jitter_secs: jitter, window_from: window.0, window_until: window.1, ..every(secs / 60 * 60, "2024-01-01T00:00:00Z")
        };
        let schedule = read(columns);
        let now = DateTime::from_timestamp(now, 0).unwrap();
        let Some(due) = schedule.due_after(now, seed) else { return Ok(()) };
        let next = schedule.due_after(due.slot, seed).unwrap();
        prop_assert!(due.slot <= due.at && due.at < next.slot);
        prop_assert!(due.at - due.slot <= TimeDelta::seconds(i64::from(jitter)));
        prop_assert_eq!(schedule.start_of(due.slot, seed), due.at);
        if has_window {
            prop_assert!(due.at.hour() >= 22 || due.at.hour() < 4, "{}", due.at);
        }
    }
}

#[test]
fn jitter_spreads_the_tasks() {
    let columns = ScheduleColumns { jitter_secs: 3_600, ..daily("02:00") };
    let schedule = read(columns);
    let slot = utc("2026-11-30T02:00:00Z");
    let starts: BTreeSet<_> = (0..1_000u128).map(|seed| schedule.start_of(slot, seed << 64)).collect();
    assert!(starts.len() > 800, "{}", starts.len());
    // Fixed for ever: another version must not start a slot at another time.
    assert_eq!(schedule.start_of(slot, SEED).to_rfc3339(), schedule.start_of(slot, SEED).to_rfc3339());
}

fn owed(slot: &str, catch_up: CatchUp) -> Owed {
    Owed { due: Due { slot: utc(slot), at: utc(slot) }, since: DateTime::UNIX_EPOCH, catch_up, seed: SEED }
}

fn facts(now: &str) -> Facts {
    Facts { now: utc(now), is_suspended: false, is_active: false, is_full: false, has_room: true }
}

fn went(step: Step) -> (Vec<Made>, Option<Due>, Option<String>) {
    match step {
        Step::Go { made, next, news } => (made, next, news),
        Step::Wait => panic!("it waits"),
    }
}

fn made(slot: &str, outcome: Outcome) -> Made {
    Made { slot: utc(slot), outcome }
}

#[test]
fn on_time_each_choice_runs_the_slot() {
    let schedule = read(daily("02:00"));
    for catch_up in CatchUp::ALL {
        let step = schedule.step(&owed("2026-11-29T02:00:00Z", catch_up), &facts("2026-11-29T02:00:01Z"), RULE);
        let (rows, next, news) = went(step);
        assert_eq!(rows, [made("2026-11-29T02:00:00Z", Outcome::Queued)]);
        assert_eq!((next.map(|due| due.slot), news), (Some(utc("2026-11-30T02:00:00Z")), None));
    }
}

#[test]
fn missed_slots_are_made_up_for_once_spread_or_not() {
    let schedule = read(ScheduleColumns { frequency: "hourly", ..Default::default() });
    let now = facts("2026-11-29T08:10:00Z");
    let first = "2026-11-29T02:00:00Z";
    let nine = utc("2026-11-29T09:00:00Z");
    let (rows, next, news) = went(schedule.step(&owed(first, CatchUp::Once), &now, RULE));
    assert_eq!((rows, next.unwrap().slot), (vec![made(first, Outcome::Queued)], nine));
    assert!(news.unwrap().starts_with("6 due times passed"));

    let (rows, next, news) = went(schedule.step(&owed(first, CatchUp::Spread), &now, RULE));
    let later = next.unwrap();
    assert_eq!((rows.len(), later.slot, news), (0, utc(first), None), "the same slot, later");
    assert!(later.at > now.now && later.at < nine, "{later:?}");
    let (rows, next, news) = went(schedule.step(
        &Owed { due: later, ..owed(first, CatchUp::Spread) },
        &Facts { now: later.at, ..now },
        RULE,
    ));
    assert_eq!((rows, next.unwrap().slot), (vec![made(first, Outcome::Queued)], nine));
    assert!(news.is_some());

    let (rows, next, news) = went(schedule.step(&owed(first, CatchUp::Skip), &now, RULE));
    assert_eq!((rows.len(), next.unwrap().slot), (7, nine));
    assert!(rows.iter().all(|row| row.outcome == Outcome::Missed));
    assert!(news.unwrap().starts_with("7 due times passed"));
    // Seen right after the last one: that one runs.
    let (rows, _, news) = went(schedule.step(&owed(first, CatchUp::Skip), &facts("2026-11-29T08:01:00Z"), RULE));
    assert_eq!(rows.last(), Some(&made("2026-11-29T08:00:00Z", Outcome::Queued)));
    assert!(news.unwrap().starts_with("6 due times"));
}

#[test]
fn what_is_made_up_for_waits_for_the_window() {
    let weekly = ScheduleColumns { frequency: "weekly", weekday: Some(0), ..daily("02:00") };
    let weekly = ScheduleColumns { window_from: Some("01:00"), window_until: Some("05:00"), ..weekly };
    let sunday = "2026-11-29T02:00:00Z";
    let now = facts("2026-11-29T09:00:00Z");
    let (rows, next, _) = went(read(weekly).step(&owed(sunday, CatchUp::Once), &now, RULE));
    assert_eq!((rows.len(), next), (0, Some(Due { slot: utc(sunday), at: utc("2026-11-30T01:00:00Z") })));
    // Where the next run comes by then, nothing is to be made up for.
    let hourly = ScheduleColumns { frequency: "hourly", ..weekly };
    let (rows, next, news) = went(read(hourly).step(&owed("2026-11-29T04:00:00Z", CatchUp::Once), &now, RULE));
    assert_eq!(rows, [made("2026-11-29T04:00:00Z", Outcome::Missed)]);
    assert_eq!(next.unwrap().slot, utc("2026-11-30T01:00:00Z"));
    assert!(news.is_some());
}

#[test]
fn a_slot_waits_is_skipped_or_passes_as_things_are() {
    let schedule = read(daily("02:00"));
    let due = owed("2026-11-29T02:00:00Z", CatchUp::Once);
    let now = facts("2026-11-29T02:00:01Z");
    assert_eq!(schedule.step(&due, &Facts { has_room: false, ..now }, RULE), Step::Wait);
    for facts in [Facts { is_active: true, has_room: false, ..now }, Facts { is_full: true, ..now }] {
        let (rows, _, news) = went(schedule.step(&due, &facts, RULE));
        assert!(matches!(rows[..], [Made { outcome: Outcome::Skipped(_), .. }]) && news.is_some());
    }
    let (rows, next, news) = went(schedule.step(&due, &Facts { is_suspended: true, ..now }, RULE));
    assert!(rows.is_empty() && next.is_some() && news.is_none());
}

#[test]
fn a_slot_that_began_before_the_next_tick_keeps_its_own_start() {
    // Slot 03:00 begins at 03:00 + jitter; seen in between, it is neither lost nor begun early.
    let columns = ScheduleColumns { frequency: "hourly", jitter_secs: 3_000, ..Default::default() };
    let schedule = read(columns);
    let first = schedule.due_after(utc("2026-11-29T01:30:00Z"), SEED).unwrap();
    let second = schedule.due_after(first.slot, SEED).unwrap();
    let between = Facts { now: second.slot, ..facts("2026-11-29T03:00:00Z") };
    let (_, next, _) =
        went(schedule.step(&Owed { due: first, ..owed("2026-11-29T02:00:00Z", CatchUp::Once) }, &between, RULE));
    assert_eq!(next, Some(second));
}

#[test]
fn what_a_schedule_would_have_named_before_it_held_is_none_of_its_slots() {
    // Daily at 02:00 until 07:30, hourly since; nobody looked before 08:10.
    let hourly = read(ScheduleColumns { frequency: "hourly", ..Default::default() });
    let slot = "2026-11-29T02:00:00Z";
    let owed = Owed { since: utc("2026-11-29T07:30:00Z"), ..owed(slot, CatchUp::Skip) };
    let (rows, next, _) = went(hourly.step(&owed, &facts("2026-11-29T08:10:00Z"), RULE));
    let slots: Vec<_> = rows.iter().map(|row| row.slot).collect();
    assert_eq!(slots, [utc(slot), utc("2026-11-29T08:00:00Z")]);
    assert_eq!(next.unwrap().slot, utc("2026-11-29T09:00:00Z"));
}

//! Schedules against known days, against a minute-by-minute reading of the rules, and against another library.

use super::*;
use chrono::{Days, NaiveDate, TimeDelta, TimeZone};
use proptest::prelude::*;

const ZONES: &[&str] = &[
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Asia/Tehran",
    "Pacific/Apia",
    "America/Havana",
    "Africa/Cairo",
];

fn cron(text: &str, zone: &str) -> Schedule {
    let columns = ScheduleColumns {
        frequency: "custom",
        custom_cron: Some(text),
        timezone: Some(zone),
        ..ScheduleColumns::default()
    };
    Schedule::from_columns(&columns).unwrap()
}

fn daily(at: &str, zone: &str) -> Schedule {
    let columns = ScheduleColumns {
        frequency: "daily",
        time_to_run_at: Some(at),
        timezone: Some(zone),
        ..ScheduleColumns::default()
    };
    Schedule::from_columns(&columns).unwrap()
}

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn next(schedule: &Schedule, now: &str, count: usize) -> Vec<String> {
    let mut at = utc(now);
    let step = |_| {
        at = schedule.next_after(at).unwrap();
        at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
    };
    (0..count).map(step).collect()
}

#[test]
fn a_time_that_does_not_exist_runs_right_after_the_gap_and_one_that_exists_twice_runs_once() {
    let times = next(&daily("02:30", "Europe/Berlin"), "2026-03-28T02:00:00Z", 2);
    assert_eq!(times, ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"], "the gap is 02:00 to 03:00 local");
    let times = next(&daily("02:30", "Europe/Berlin"), "2026-10-24T03:00:00Z", 2);
    assert_eq!(times, ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"], "the first 02:30, and not the second");
    let times = next(&daily("02:30", "Europe/Berlin"), "2026-10-25T01:10:00Z", 1);
    assert_eq!(times, ["2026-10-26T01:30:00Z"], "asked in the second pass through that hour");
    let times = next(&cron("15,45 2 * * *", "Europe/Berlin"), "2026-03-29T00:30:00Z", 2);
    assert_eq!(times, ["2026-03-29T01:00:00Z", "2026-03-30T00:15:00Z"], "two times in one gap are one run");
    // A whole day that did not exist.
    let times = next(&daily("12:00", "Pacific/Apia"), "2011-12-29T22:00:00Z", 2);
    assert_eq!(times, ["2011-12-30T10:00:00Z", "2011-12-30T22:00:00Z"]);
}

#[test]
fn a_day_of_the_month_and_a_weekday_mean_either() {
    let times = next(&cron("0 0 13 * fri", "UTC"), "2026-11-01T00:00:00Z", 4);
    assert_eq!(times.join(" "), "2026-11-06T00:00:00Z 2026-11-13T00:00:00Z 2026-11-20T00:00:00Z 2026-11-27T00:00:00Z");
    let times = next(&cron("0 0 1 * 1", "UTC"), "2026-11-29T00:00:00Z", 2);
    assert_eq!(times, ["2026-11-30T00:00:00Z", "2026-12-01T00:00:00Z"]);
    let times = next(&cron("0 0 */2 * mon", "UTC"), "2026-11-01T00:00:00Z", 2);
    assert_eq!(times, ["2026-11-09T00:00:00Z", "2026-11-23T00:00:00Z"], "a field with a star restricts nothing: both");
}

#[test]
fn sunday_is_0_and_7_and_sun() {
    for text in ["0 0 * * 0", "0 0 * * 7", "0 0 * * SUN", "0 0 * * 7-7"] {
        assert_eq!(next(&cron(text, "UTC"), "2026-11-20T00:00:00Z", 1), ["2026-11-22T00:00:00Z"], "{text}");
    }
    for text in ["0 0 * * 5-7", "0 0 * * fri-sun", "0 0 * * 0,5-6"] {
        assert_eq!(next(&cron(text, "UTC"), "2026-11-20T00:00:00Z", 2)[1], "2026-11-22T00:00:00Z", "{text}");
    }
    assert_eq!(next(&cron("0 0 29 2 *", "UTC"), "2026-11-20T00:00:00Z", 1), ["2028-02-29T00:00:00Z"]);
}

#[test]
fn what_is_no_unix_cron_or_never_fires_is_refused() {
    for text in [
        "",
        "not cron",
        "* * * *",
        "* * * * * *",
        "0 0 0 * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 0 *",
        "* * * 13 *",
        "* * * * 8",
        "*/0 * * * *",
        "5/10 * * * *",
        "10-5 * * * *",
        "1, * * * *",
        ", * * * *",
        "-1 * * * *",
        "+1 * * * *",
        "1-2-3 * * * *",
        "*/ * * * *",
        "@daily",
        "0 0 L * *",
        "0 0 15W * *",
        "0 0 * * 1#2",
        "0 0 ? * 1",
        "0 0 * * mo",
        "0 0 * * fri-mon",
        "1.5 * * * *",
        "* * * jan *x",
        "٣ * * * *",
    ] {
        assert!(UnixCron::parse(text).is_err(), "{text:?}");
    }
    for text in ["0 0 31 2 *", "0 0 30,31 feb *", "0 0 31 4,6,9,11 *", "0 0 31 2 */2"] {
        assert_eq!(UnixCron::parse(text).err(), Some(CronProblem::NeverFires), "{text}");
    }
    assert!(UnixCron::parse("0 0 31 2 mon").is_ok(), "a weekday is enough");
    assert_eq!(UnixCron::parse(&"1,".repeat(200)).err(), Some(CronProblem::TooLong));
    assert_eq!(UnixCron::parse("  0\t1 *  * JAN-mar/2 ").err(), Some(field("day-of-week", 0, 7)));
    assert_eq!(UnixCron::parse("  0\t1 *  JAN-mar/2 * ").unwrap().as_str(), "0 1 * JAN-mar/2 *");
}

fn field(field: &'static str, low: u32, high: u32) -> CronProblem {
    CronProblem::Field { field, low, high, names: " or names" }
}

#[test]
fn times_of_day_have_two_digits_each() {
    for text in ["00:00", "23:59", "09:05"] {
        assert_eq!(text.parse::<TimeOfDay>().unwrap().to_string(), text);
    }
    for text in ["24:00", "9:00", "09:60", "09:5", "09:00:00", "", "ab:cd", "09-00", "+9:00", "０9:00"] {
        assert!(text.parse::<TimeOfDay>().is_err(), "{text:?}");
    }
}

#[test]
fn the_page_shows_todays_conversion() {
    let (at, new_york) = ("02:00".parse().unwrap(), parse_zone("America/New_York").unwrap());
    let winter = shown_times(at, Tz::UTC, new_york, utc("2026-11-20T12:00:00Z"));
    assert_eq!((winter.utc.to_string(), winter.local.to_string()), ("02:00".into(), "21:00".into()));
    let summer = shown_times(at, Tz::UTC, new_york, utc("2026-07-20T12:00:00Z"));
    assert_eq!(summer.local.to_string(), "22:00");
    let own_zone = shown_times(at, parse_zone("Europe/Berlin").unwrap(), new_york, utc("2026-07-20T12:00:00Z"));
    assert_eq!((own_zone.utc.to_string(), own_zone.local.to_string()), ("00:00".into(), "20:00".into()));
}

#[test]
fn a_definition_without_its_parts_is_refused() {
    let empty = ScheduleColumns { frequency: "daily", ..ScheduleColumns::default() };
    let problem = |columns: ScheduleColumns<'_>| Schedule::from_columns(&columns).err();
    assert_eq!(problem(empty), Some(ScheduleProblem::TimeMissing));
    assert_eq!(problem(ScheduleColumns { frequency: "weekly", ..empty }), Some(ScheduleProblem::WeekdayMissing));
    assert_eq!(problem(ScheduleColumns { frequency: "custom", ..empty }), Some(ScheduleProblem::CronMissing));
    assert_eq!(problem(ScheduleColumns { frequency: "yearly", ..empty }), Some(ScheduleProblem::UnknownFrequency));
    assert_eq!(problem(ScheduleColumns { timezone: Some("Mars/Base"), ..empty }), Some(ScheduleProblem::UnknownZone));
    for (frequency, expected) in
        [("monthly", ScheduleProblem::MonthDayMissing), ("interval", ScheduleProblem::IntervalMissing)]
    {
        assert_eq!(problem(ScheduleColumns { frequency, time_to_run_at: Some("02:00"), ..empty }), Some(expected));
    }
    let half = ScheduleColumns { time_to_run_at: Some("02:00"), window_from: Some("01:00"), ..empty };
    assert_eq!(problem(half), Some(ScheduleProblem::HalfWindow));
    assert_eq!(problem(ScheduleColumns { window_until: Some("01:00"), ..half }), Some(ScheduleProblem::EmptyWindow));
    let manual = Schedule::from_columns(&ScheduleColumns { frequency: "manual", ..empty }).unwrap();
    assert_eq!(manual.next_after(Utc::now()), None);
    let weekly = ScheduleColumns { frequency: "weekly", time_to_run_at: Some("03:00"), weekday: Some(0), ..empty };
    let weekly = Schedule::from_columns(&weekly).unwrap();
    assert_eq!(next(&weekly, "2026-11-22T03:00:00Z", 1), ["2026-11-29T03:00:00Z"]);
    assert_eq!(weekday_in(utc("2026-11-22T23:30:00Z"), parse_zone("Europe/Berlin").unwrap()), 1);
}

/// One cron field: a star, a step over everything (one in `steps + 6`), or a list of numbers and ranges.
fn field_text(low: u32, high: u32, steps: u32) -> impl Strategy<Value = String> {
    let range = move |(a, b): (u32, u32)| format!("{}-{}", a.min(b), a.max(b));
    let item = prop_oneof![
        (low..=high).prop_map(|n| n.to_string()),
        (low..=high, low..=high).prop_map(range),
        (low..=high, low..=high, 1u32..9).prop_map(move |(a, b, step)| format!("{}/{step}", range((a, b)))),
    ];
    prop_oneof![
        3 => Just("*".to_owned()),
        steps => (1u32..20).prop_map(|step| format!("*/{step}")),
        3 => proptest::collection::vec(item, 1..4).prop_map(|items| items.join(",")),
    ]
}

/// Five fields; `day_steps` 0 leaves `*/n` out of the two fields for days.
fn expression(day_steps: u32) -> impl Strategy<Value = String> {
    let days = (field_text(1, 31, day_steps), field_text(0, 7, day_steps));
    (field_text(0, 59, 1), field_text(0, 23, 1), days, field_text(1, 12, 1))
        .prop_map(|(minute, hour, (day, weekday), month)| format!("{minute} {hour} {day} {month} {weekday}"))
}

fn moment() -> impl Strategy<Value = DateTime<Utc>> {
    (1_700_000_000i64..1_900_000_000).prop_map(|secs| DateTime::from_timestamp(secs, 0).unwrap())
}

/// Whether the clocks of `zone` change within `hours` of `at`.
fn is_near_a_change(at: DateTime<Utc>, zone: Tz, hours: i64) -> bool {
    (-hours..=hours).any(|h| offset_secs(at + TimeDelta::hours(h), zone) != offset_secs(at, zone))
}

/// Expressions that fire several times a day, so that a change of the clock touches them.
fn frequent() -> impl Strategy<Value = String> {
    (field_text(0, 59, 1), field_text(0, 23, 1)).prop_map(|(minute, hour)| format!("{minute} {hour} * * *"))
}

/// The days from 2015 to 2030 on which a zone's clocks change.
fn changes_of(zone: Tz) -> Vec<DateTime<Utc>> {
    let days = (0..16 * 365).map(|day| utc("2015-01-01T00:00:00Z") + TimeDelta::days(day));
    days.filter(|at| offset_secs(*at, zone) != offset_secs(*at + TimeDelta::days(1), zone)).collect()
}

fn offset_secs(at: DateTime<Utc>, zone: Tz) -> i32 {
    use chrono::Offset;
    zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc()
}

/// The rule itself, a minute at a time and without any of the code under test: an instant is a time of the schedule
/// when the wall clock then shows, or has just jumped over, a time of the rule that it never reached before.
fn seen_on_the_wall(text: &str, zone: Tz, start: DateTime<Utc>, end: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let parser = croner::parser::CronParser::builder().seconds(croner::parser::Seconds::Disallowed).build();
    let rule = parser.parse(text).unwrap();
    let wall = |at: DateTime<Utc>| at.with_timezone(&zone).naive_local();
    let minute = TimeDelta::minutes(1);
    let earlier = std::iter::successors(Some(start - TimeDelta::hours(30)), |at| Some(*at + minute));
    let mut reached = earlier.take_while(|at| *at <= start).map(wall).max().unwrap();
    let mut times = Vec::new();
    let mut at = start + minute;
    while at <= end {
        let mut is_due = false;
        while reached < wall(at) {
            reached += minute;
            is_due |= rule.is_time_matching(&reached.and_utc()).unwrap();
        }
        if is_due {
            times.push(at);
        }
        at += minute;
    }
    times
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 100_000, ..ProptestConfig::default() })]

    /// croner knows Unix cron too; away from changes of the clock both must name the same instant. (It takes `*/n` of
    /// a day as a restriction, which crontab(5) does not: those are left out here.)
    #[test]
    fn croner_agrees_away_from_changes_of_the_clock(
        text in expression(0), now in moment(), zone in proptest::sample::select(ZONES),
    ) {
        prop_assume!(UnixCron::parse(&text).is_ok());
        let ours = cron(&text, zone).next_after(now);
        let parser = croner::parser::CronParser::builder().seconds(croner::parser::Seconds::Disallowed).build();
        let oracle = parser.parse(&text).unwrap();
        let zone = parse_zone(zone).unwrap();
        let theirs = oracle.find_next_occurrence(&now.with_timezone(&zone), false).ok().map(|at| at.to_utc());
        let is_far = |at: &DateTime<Utc>| !is_near_a_change(*at, zone, 26);
        prop_assume!(is_far(&now) && theirs.as_ref().is_none_or(is_far) && ours.as_ref().is_none_or(is_far));
        prop_assert_eq!(ours, theirs, "{}", text);
    }

    /// The next time is later, on a whole minute, and asking again from just before it names it again.
    #[test]
    fn the_next_time_is_the_next(text in expression(1), now in moment(), zone in proptest::sample::select(ZONES)) {
        prop_assume!(UnixCron::parse(&text).is_ok());
        let schedule = cron(&text, zone);
        let Some(at) = schedule.next_after(now) else { return Ok(()) };
        prop_assert!(at > now);
        prop_assert_eq!(schedule.next_after(at - TimeDelta::seconds(1)), Some(at));
        prop_assert!(schedule.next_after(at).is_none_or(|later| later > at));
    }

    /// Whatever the clocks do: a daily task runs once for each local day that exists.
    #[test]
    fn a_daily_task_runs_once_each_local_day(
        hour in 0u32..24, minute in 0u32..60, year in 2000i32..2035, zone in proptest::sample::select(ZONES),
    ) {
        prop_assume!(zone != "Pacific/Apia" || year != 2011);
        let schedule = daily(&format!("{hour:02}:{minute:02}"), zone);
        let zone = parse_zone(zone).unwrap();
        let first = NaiveDate::from_ymd_opt(year, 1, 1).unwrap();
        let mut at = instant_of(first.and_hms_opt(0, 0, 0).unwrap(), zone).unwrap() - TimeDelta::seconds(1);
        for day in 0..365 {
            at = schedule.next_after(at).unwrap();
            prop_assert_eq!(at.with_timezone(&zone).date_naive(), first + Days::new(day));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Around every change of the clocks the times are those of somebody who looks at the wall each minute, and starts
    /// whatever the clock has reached for the first time.
    #[test]
    fn around_a_change_of_the_clock_the_times_are_those_on_the_wall(
        text in frequent(), zone in proptest::sample::select(ZONES), pick in any::<proptest::sample::Index>(),
    ) {
        prop_assume!(UnixCron::parse(&text).is_ok());
        let name = zone;
        let zone = parse_zone(name).unwrap();
        let changes = changes_of(zone);
        prop_assume!(!changes.is_empty());
        let start = changes[pick.index(changes.len())] - TimeDelta::hours(6);
        let end = start + TimeDelta::hours(36);
        let schedule = cron(&text, name);
        let ours: Vec<_> = std::iter::successors(schedule.next_after(start), |at| schedule.next_after(*at))
            .take_while(|at| *at <= end)
            .collect();
        let theirs = seen_on_the_wall(&text, zone, start, end);
        prop_assert_eq!(&ours, &theirs, "{}", text);
        // From any moment, one in the second pass through a repeated hour too.
        for now in (0..36 * 4).map(|quarter| start + TimeDelta::minutes(15 * quarter + 7)) {
            let wanted = theirs.iter().find(|at| **at > now);
            let got = schedule.next_after(now).filter(|at| *at <= end);
            prop_assert_eq!(got.as_ref(), wanted, "{} from {}", text, now);
        }
    }
}

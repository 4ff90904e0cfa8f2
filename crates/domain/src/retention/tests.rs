//! What each rule means, by example.

use super::*;

/// The day on which copy `n` of [`history`] is made.
fn day(n: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + n * 86_400, 0).unwrap_or_default()
}

fn copy(n: i64) -> Copy {
    Copy {
        copy_id: BackupCopyId(100 + n),
        backup_id: BackupId(n),
        created_at: day(n),
        is_sound: true,
        quality: Quality::Clean,
        is_held: false,
        is_uploaded: false,
        is_being_read: false,
    }
}

/// Copies 1 to `n`, one a day, all well.
fn history(n: i64) -> Vec<Copy> {
    (1..=n).map(copy).collect()
}

fn keep_last(n: u32) -> Rule {
    Rule { keep_last: n, ..Rule::default() }
}

/// Backups that stay, oldest first.
fn kept(copies: &[Copy], rule: &Rule, now: DateTime<Utc>) -> Vec<i64> {
    let mut kept: Vec<i64> =
        plan(copies, rule, now).into_iter().filter(|d| d.verdict.keeps()).map(|d| d.backup_id.0).collect();
    kept.reverse();
    kept
}

fn verdict_of(copies: &[Copy], rule: &Rule, backup: i64) -> Verdict {
    let found = plan(copies, rule, day(1000)).into_iter().find(|d| d.backup_id.0 == backup);
    found.map_or(Verdict::Keep(Vec::new()), |d| d.verdict)
}

#[test]
fn without_limits_everything_stays() {
    assert_eq!(kept(&history(50), &Rule::default(), day(10_000)).len(), 50);
}

#[test]
fn the_newest_stay_and_of_fifteen_hundred_the_right_ones_go() {
    assert_eq!(kept(&history(5), &keep_last(3), day(6)), [3, 4, 5]);
    assert_eq!(kept(&history(1500), &keep_last(7), day(1501)), (1494..=1500).collect::<Vec<_>>());
    assert_eq!(verdict_of(&history(5), &keep_last(3), 1), Verdict::Delete(GoReason::TooMany));
}

#[test]
fn a_copy_is_too_old_after_its_limit_and_not_at_it() {
    let rule = Rule { max_age_secs: Some(86_400 * 3), ..Rule::default() };
    assert_eq!(kept(&history(5), &rule, day(5)), [2, 3, 4, 5]);
    assert_eq!(kept(&history(5), &rule, day(5) + TimeDelta::seconds(1)), [3, 4, 5]);
    let none = Rule { max_age_secs: Some(i64::MAX), ..Rule::default() };
    assert_eq!(kept(&history(5), &none, day(1_000_000)).len(), 5);
}

#[test]
fn the_floor_holds_against_every_limit() {
    let rule = Rule { keep_last: 2, floor: 4, ..Rule::default() };
    assert_eq!(kept(&history(5), &rule, day(6)), [2, 3, 4, 5]);
    let rule = Rule { max_age_secs: Some(1), floor: 2, ..Rule::default() };
    assert_eq!(kept(&history(5), &rule, day(600)), [4, 5]);
}

#[test]
fn what_goes_lies_in_the_bin_first_when_the_rule_says_so() {
    let rule = Rule { keep_last: 1, recycle_secs: 60, ..Rule::default() };
    assert_eq!(verdict_of(&history(2), &rule, 1), Verdict::Recycle(GoReason::TooMany));
}

#[test]
fn the_newest_verified_stays_when_what_came_after_it_is_not() {
    let mut copies = history(5);
    copies[3].is_sound = false;
    copies[4].is_sound = false;
    assert_eq!(kept(&copies, &keep_last(1), day(6)), [3, 4, 5]);
    let Verdict::Keep(reasons) = verdict_of(&copies, &keep_last(1), 3) else { panic!("it goes") };
    assert!(reasons.contains(&KeepReason::NewestVerified), "{reasons:?}");
}

#[test]
fn the_newest_without_warnings_stays_however_many_with_warnings_follow() {
    let mut copies = history(12);
    for flawed in &mut copies[2..] {
        flawed.quality = Quality::Flawed;
    }
    assert_eq!(kept(&copies, &keep_last(3), day(13)), [2, 10, 11, 12]);
}

#[test]
fn what_shrank_pushes_nothing_out_that_did_not() {
    let mut copies = history(9);
    for doubtful in &mut copies[3..] {
        doubtful.quality = Quality::Doubtful;
    }
    assert_eq!(kept(&copies, &keep_last(2), day(10)), [2, 3, 8, 9]);
    let by_age = Rule { max_age_secs: Some(1), ..Rule::default() };
    assert_eq!(kept(&copies, &by_age, day(100)), [3, 9], "nor when it is old");
}

#[test]
fn held_and_uploaded_ones_stay_and_do_not_count() {
    let mut copies = history(8);
    copies[0].is_held = true;
    copies[6].is_held = true;
    copies[1].is_uploaded = true;
    copies[7].is_uploaded = true;
    assert_eq!(kept(&copies, &keep_last(2), day(9)), [1, 2, 5, 6, 7, 8]);
}

#[test]
fn what_is_being_read_stays_for_now() {
    let mut copies = history(3);
    copies[0].is_being_read = true;
    assert_eq!(kept(&copies, &keep_last(1), day(4)), [1, 3]);
}

#[test]
fn a_clock_that_went_back_makes_nothing_old() {
    let rule = Rule { max_age_secs: Some(60), ..Rule::default() };
    assert_eq!(kept(&history(5), &rule, day(-1000)).len(), 5);
}

#[test]
fn what_a_rule_put_into_the_bin_leaves_it_only_while_a_newer_verified_copy_is_outside() {
    let binned = |copy: Copy, is_asked_for| [Binned { copy, is_asked_for }];
    let verdict = |committed: &[Copy], binned: &[Binned]| plan_bin(committed, binned).remove(0).verdict;
    let gone = Verdict::Delete(GoReason::BinEnded);
    assert_eq!(verdict(&[copy(2)], &binned(copy(1), false)), gone);
    assert!(verdict(&[], &binned(copy(1), false)).keeps());
    let damaged = Copy { is_sound: false, ..copy(2) };
    assert!(verdict(std::slice::from_ref(&damaged), &binned(copy(1), false)).keeps());
    assert!(verdict(&[copy(1)], &binned(copy(2), false)).keeps(), "an older one proves nothing");
    assert_eq!(verdict(&[], &binned(copy(1), true)), gone, "a person answers for it");
    let held = Copy { is_held: true, ..copy(1) };
    assert!(verdict(&[copy(2)], &binned(held, true)).keeps());
}

#[test]
fn the_last_good_backup_is_known_as_such() {
    let damaged = Copy { is_sound: false, ..copy(2) };
    assert!(is_last_good(BackupId(1), &[copy(1), copy(1), damaged.clone()]));
    assert!(!is_last_good(BackupId(2), &[copy(1), damaged.clone()]));
    assert!(!is_last_good(BackupId(1), &[copy(1), copy(3)]));
    assert!(!is_last_good(BackupId(2), &[damaged]));
}

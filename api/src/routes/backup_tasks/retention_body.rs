//! `retention{…}` of a task: what stays of its backups. Nothing here decides what goes; that is the domain's.

use super::body::Body;
use crate::validation::{Fields, Presence};
use holdfast_domain::retention::Rule;
use utoipa::ToSchema;

/// A hundred years.
const MAX_AGE_SECS: i64 = 3_155_760_000;
/// Ten years.
const RECYCLE_SECS: i64 = 315_576_000;
const COUNT_MAX: i64 = i32::MAX as i64;

/// What stays of a task's backups.
#[derive(Default, ToSchema)]
#[schema(as = RetentionBody)]
pub(crate) struct RetentionBody {
    /// So many of the newest stay; 0 = no limit. The same as `maximum_backups_to_keep`.
    pub keep_last: Option<i64>,
    /// Older ones go; null = no limit.
    pub max_age_secs: Option<i64>,
    /// So many of the newest stay whatever the other limits say.
    pub floor: Option<i64>,
    /// How long what goes lies in the recycle bin; 0 = it is deleted at once.
    pub recycle_secs: Option<i64>,
    #[schema(ignore)]
    pub sets_max_age: bool,
}

impl RetentionBody {
    pub(super) fn read(fields: &mut Fields) -> Self {
        Self {
            keep_last: within(fields, "keep_last", 0, COUNT_MAX),
            sets_max_age: fields.sent("max_age_secs"),
            max_age_secs: within(fields, "max_age_secs", 1, MAX_AGE_SECS),
            floor: within(fields, "floor", 0, COUNT_MAX),
            recycle_secs: within(fields, "recycle_secs", 0, RECYCLE_SECS),
        }
    }
}

fn within(fields: &mut Fields, name: &str, min: i64, max: i64) -> Option<i64> {
    let number = fields.integer(name, Presence::Optional)?;
    if (min..=max).contains(&number) {
        return Some(number);
    }
    fields.fail_invalid(name, &format!("it must be from {min} to {max}"));
    None
}

/// The rule that the body makes of the stored one. Where both forms of the number are given they must agree.
pub(super) fn rule(body: &Body, stored: Rule, fields: &mut Fields) -> Rule {
    let given = body.retention.as_ref();
    let (long, short) = (given.and_then(|r| r.keep_last), body.maximum_backups_to_keep);
    if long.zip(short).is_some_and(|(long, short)| long != short) {
        fields
            .fail("retention.keep_last", "The retention.keep last field must be the same as maximum backups to keep.");
    }
    let count = |number: Option<i64>, stored: u32| number.and_then(|n| u32::try_from(n).ok()).unwrap_or(stored);
    Rule {
        keep_last: count(long.or(short), stored.keep_last),
        max_age_secs: match given {
            Some(retention) if retention.sets_max_age => retention.max_age_secs,
            _ => stored.max_age_secs,
        },
        floor: count(given.and_then(|r| r.floor), stored.floor),
        recycle_secs: given.and_then(|r| r.recycle_secs).unwrap_or(stored.recycle_secs),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_absent_stays_and_null_takes_the_age_away() {
        let stored = Rule { keep_last: 5, max_age_secs: Some(60), floor: 2, recycle_secs: 7 };
        let body = |retention| Body { retention, ..Body::default() };
        let given = RetentionBody { floor: Some(3), ..RetentionBody::default() };
        let mut fields = Fields::default();
        assert_eq!(rule(&body(None), stored, &mut fields), stored);
        assert_eq!(rule(&body(Some(given)), stored, &mut fields), Rule { floor: 3, ..stored });
        let given = RetentionBody { sets_max_age: true, ..RetentionBody::default() };
        assert_eq!(rule(&body(Some(given)), stored, &mut fields), Rule { max_age_secs: None, ..stored });
        assert!(fields.finish().is_ok());
    }

    #[test]
    fn two_forms_of_one_number_must_agree() {
        let retention = RetentionBody { keep_last: Some(3), ..RetentionBody::default() };
        let body = Body { maximum_backups_to_keep: Some(4), retention: Some(retention), ..Body::default() };
        let mut fields = Fields::default();
        rule(&body, Rule::default(), &mut fields);
        assert!(fields.failed("retention.keep_last"));
    }
}

//! `limits{…}` of a task: what one run may take. A task can only lower what the operator allows.

use crate::validation::{Fields, Presence};
use utoipa::ToSchema;

/// The operator's own limit may be at most this: 30 days.
const MAX_DURATION_SECS: i64 = 2_592_000;

/// What one run may take.
#[derive(Default, ToSchema)]
pub(crate) struct LimitsBody {
    /// Seconds from its start to its end, all attempts together; null = the operator's limit alone.
    pub max_duration_secs: Option<i64>,
    #[schema(ignore)]
    pub sets_max_duration: bool,
}

impl LimitsBody {
    pub(super) fn read(fields: &mut Fields) -> Self {
        let body = Self {
            sets_max_duration: fields.sent("max_duration_secs"),
            max_duration_secs: fields.integer("max_duration_secs", Presence::Optional),
        };
        if body.max_duration_secs.is_some_and(|secs| !(1..=MAX_DURATION_SECS).contains(&secs)) {
            fields.fail_invalid("max_duration_secs", &format!("it must be from 1 to {MAX_DURATION_SECS}"));
        }
        body
    }

    /// The column: what was sent, null included, else what is stored.
    pub fn max_duration(given: Option<&Self>, stored: Option<i32>) -> Option<i32> {
        match given.filter(|limits| limits.sets_max_duration) {
            Some(limits) => limits.max_duration_secs.and_then(|secs| i32::try_from(secs).ok()),
            None => stored,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_takes_the_limit_away_and_absence_keeps_it() {
        let given = |secs| LimitsBody { max_duration_secs: secs, sets_max_duration: true };
        assert_eq!(LimitsBody::max_duration(Some(&given(Some(60))), None), Some(60));
        assert_eq!(LimitsBody::max_duration(Some(&given(None)), Some(60)), None);
        assert_eq!(LimitsBody::max_duration(Some(&LimitsBody::default()), Some(60)), Some(60));
        assert_eq!(LimitsBody::max_duration(None, Some(60)), Some(60));
    }
}

//! `limits{runs_at_once}` of a server and of a destination: how many runs use it at the same time. The others wait.

use crate::validation::{Fields, Presence};
use utoipa::ToSchema;

/// Runs at once at most.
const MOST: i64 = 100;

/// How much of it may be used.
#[derive(Default, ToSchema)]
#[schema(as = UseLimitsBody)]
pub(in crate::routes) struct AtOnceBody {
    /// Runs at the same time, from 1 to 100; the others wait. Null: the default, one of a server, any number of a destination.
    pub runs_at_once: Option<i64>,
    #[schema(ignore)]
    pub sets_runs_at_once: bool,
}

impl AtOnceBody {
    /// `limits` of a body.
    pub fn read(fields: &mut Fields) -> Option<Self> {
        fields.object("limits", Presence::Optional, |fields| {
            let body = Self {
                sets_runs_at_once: fields.sent("runs_at_once"),
                runs_at_once: fields.integer("runs_at_once", Presence::Optional),
            };
            if body.runs_at_once.is_some_and(|runs| !(1..=MOST).contains(&runs)) {
                fields.fail_invalid("runs_at_once", &format!("it must be from 1 to {MOST}"));
            }
            body
        })
    }

    /// The column: what was sent, null included, else what is stored.
    pub fn runs(given: Option<&Self>, stored: Option<i32>) -> Option<i32> {
        match given.filter(|limits| limits.sets_runs_at_once) {
            Some(limits) => limits.runs_at_once.and_then(|runs| i32::try_from(runs).ok()),
            None => stored,
        }
    }
}

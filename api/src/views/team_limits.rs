//! What a team may have and has.

use holdfast_domain::{Limit, TeamLimits};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// Limit → used and allowed.
#[derive(Serialize, ToSchema)]
pub struct TeamLimitsView(BTreeMap<&'static str, LimitView>);

/// One limit.
#[derive(Serialize, ToSchema)]
pub struct LimitView {
    /// How much there is; null where nothing is counted (a rate, an interval).
    #[schema(required)]
    used: Option<u64>,
    /// How much there may be; null = no limit. Of `min_interval_secs` it is the least that is allowed.
    #[schema(required)]
    allowed: Option<u64>,
}

impl TeamLimitsView {
    /// The view.
    #[must_use]
    pub fn of(allowed: &TeamLimits, used: &BTreeMap<Limit, u64>) -> Self {
        let view =
            |limit: &Limit| (limit.as_str(), LimitView { used: used.get(limit).copied(), allowed: allowed.of(*limit) });
        Self(Limit::ALL.iter().map(view).collect())
    }
}

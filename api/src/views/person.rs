//! A person as those who run the installation see them: nothing of their secrets.

use super::time;
use holdfast_store::operator::{PersonRow, TeamRow};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A person, and what they have.
#[derive(Serialize, ToSchema)]
pub struct PersonView {
    id: i64,
    /// The team that they alone own.
    #[schema(required)]
    team_id: Option<i64>,
    name: String,
    email: String,
    timezone: String,
    language: String,
    is_operator: bool,
    created_at: String,
    #[schema(required)]
    suspension: Option<SuspensionView>,
    counts: PersonCounts,
}

#[derive(Serialize, ToSchema)]
struct SuspensionView {
    #[schema(required)]
    suspended_at: Option<String>,
    #[schema(required)]
    reason: Option<String>,
    #[schema(required)]
    note: Option<String>,
    /// Null: until somebody lifts it.
    #[schema(required)]
    until: Option<String>,
    /// The account is being deleted: it cannot be lifted.
    is_closing: bool,
}

#[derive(Serialize, ToSchema)]
struct PersonCounts {
    remote_servers: i64,
    backup_destinations: i64,
    backup_tasks: i64,
    backups: i64,
    tokens: i64,
}

impl PersonView {
    /// The view of `row`.
    #[must_use]
    pub fn of(row: PersonRow) -> Self {
        let suspension = row.suspended_at.map(|at| SuspensionView {
            suspended_at: Some(time::utc(at)),
            reason: row.reason,
            note: row.note,
            until: time::utc_or_null(row.until),
            is_closing: row.is_closing.unwrap_or(false),
        });
        Self {
            id: row.user_id,
            team_id: row.team_id,
            name: row.name,
            email: row.email,
            timezone: row.timezone,
            language: row.language,
            is_operator: row.is_operator,
            created_at: time::utc(row.created_at),
            suspension,
            counts: PersonCounts {
                remote_servers: row.remote_servers,
                backup_destinations: row.backup_destinations,
                backup_tasks: row.backup_tasks,
                backups: row.backups,
                tokens: row.tokens,
            },
        }
    }
}

/// A team with the limits that were set for it.
#[derive(Serialize, ToSchema)]
pub struct TeamView {
    id: i64,
    name: String,
    created_at: String,
    #[schema(required)]
    suspended_at: Option<String>,
    /// Limits that differ from the configuration's: name → number, 0 = no limit.
    #[schema(value_type = std::collections::BTreeMap<String, u64>)]
    own_limits: Value,
    /// Limit → used and allowed.
    limits: super::team_limits::TeamLimitsView,
}

impl TeamView {
    /// The view of `row`.
    #[must_use]
    pub fn of(row: TeamRow, limits: super::team_limits::TeamLimitsView) -> Self {
        Self {
            id: row.team_id,
            name: row.name,
            created_at: time::utc(row.created_at),
            suspended_at: time::utc_or_null(row.suspended_at),
            own_limits: row.limits,
            limits,
        }
    }
}

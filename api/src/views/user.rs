//! A person, in the shape of the peer's `user`.

use super::time;
use holdfast_store::rows;
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

/// The person behind the token.
#[derive(Serialize, ToSchema)]
pub struct UserView {
    id: i64,
    personal_info: PersonalInfo,
    account_settings: AccountSettings,
    backup_tasks: TaskCounts,
    related_entities: EntityCounts,
    timestamps: UserTimestamps,
}

#[derive(Serialize, ToSchema)]
struct PersonalInfo {
    name: String,
    first_name: String,
    last_name: String,
    email: String,
    avatar_url: String,
}

#[derive(Serialize, ToSchema)]
struct AccountSettings {
    timezone: String,
    language: String,
    is_admin: bool,
    /// Always false: known clients expect the key.
    github_login_enabled: bool,
    /// A mail on Monday at 08:00 in `timezone` about the week of every team.
    weekly_summary_enabled: bool,
    /// Rows of a list's page where the request does not say.
    page_size: i32,
}

#[derive(Serialize, ToSchema)]
struct TaskCounts {
    total: u64,
    active: u64,
    logs: LogCounts,
}

#[derive(Serialize, ToSchema)]
struct LogCounts {
    total: u64,
    today: u64,
}

#[derive(Serialize, ToSchema)]
struct EntityCounts {
    remote_servers: u64,
    backup_destinations: u64,
    tags: u64,
    notification_streams: u64,
}

#[derive(Serialize, ToSchema)]
struct UserTimestamps {
    account_created: String,
}

/// What is counted for the view.
pub struct UserCounts {
    /// Tasks.
    pub tasks: u64,
    /// Tasks with an unfinished run.
    pub running: u64,
    /// Finished runs.
    pub logs: u64,
    /// Finished runs since the local midnight.
    pub logs_today: u64,
    /// Servers.
    pub servers: u64,
    /// Destinations.
    pub destinations: u64,
    /// Tags.
    pub tags: u64,
    /// Notification streams.
    pub streams: u64,
}

impl UserView {
    /// The view of `row`.
    #[must_use]
    pub fn of(row: &rows::users::Model, counts: &UserCounts) -> Self {
        let mut words = row.name.split_whitespace();
        let first_name = words.next().unwrap_or_default().to_owned();
        let last_name = words.next_back().unwrap_or_default().to_owned();
        let digest = Sha256::digest(row.email.trim().to_lowercase().as_bytes());
        let avatar: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        Self {
            id: row.id,
            personal_info: PersonalInfo {
                name: row.name.clone(),
                first_name,
                last_name,
                email: row.email.clone(),
                avatar_url: format!("https://www.gravatar.com/avatar/{avatar}?s=200"),
            },
            account_settings: AccountSettings {
                timezone: row.timezone.clone(),
                language: row.language.clone(),
                is_admin: row.is_operator,
                github_login_enabled: false,
                weekly_summary_enabled: row.next_digest_at.is_some(),
                page_size: row.page_size.unwrap_or(15),
            },
            backup_tasks: TaskCounts {
                total: counts.tasks,
                active: counts.tasks.saturating_sub(counts.running),
                logs: LogCounts { total: counts.logs, today: counts.logs_today },
            },
            related_entities: EntityCounts {
                remote_servers: counts.servers,
                backup_destinations: counts.destinations,
                tags: counts.tags,
                notification_streams: counts.streams,
            },
            timestamps: UserTimestamps { account_created: time::utc(row.created_at) },
        }
    }
}

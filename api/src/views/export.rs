//! An account's export: what stands before its lists.

use super::audit_event::AuditEventView;
use super::backup::BackupView;
use super::backup_destination::BackupDestinationView;
use super::backup_task::BackupTaskView;
use super::notification_stream::NotificationStreamView;
use super::remote_server::RemoteServerView;
use super::script::ScriptView;
use super::script_secret::ScriptSecretView;
use super::session::SessionView;
use super::tag::TagView;
use super::team_limits::TeamLimitsView;
use super::time;
use super::token::TokenView;
use super::user::UserView;
use holdfast_store::repositories::known_devices::KnownDevice;
use holdfast_store::rows;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// What is kept about a person, as they take it with them. It is written piece by piece; no secret has a field here.
#[derive(Serialize, ToSchema)]
pub struct AccountExport {
    #[serde(flatten)]
    head: ExportHead,
    /// Your tokens that were not revoked.
    tokens: Vec<TokenView>,
    /// What the audit log says of you: what you did, and what was done to your account.
    audit_events: Vec<AuditEventView>,
    /// Of the team's owner alone, as everything below.
    remote_servers: Option<Vec<RemoteServerView>>,
    backup_destinations: Option<Vec<BackupDestinationView>>,
    backup_tasks: Option<Vec<BackupTaskView>>,
    notification_streams: Option<Vec<NotificationStreamView>>,
    tags: Option<Vec<TagView>>,
    scripts: Option<Vec<ScriptView>>,
    /// Their names, not their values.
    script_secrets: Option<Vec<ScriptSecretView>>,
    /// The list, not the bytes.
    backups: Option<Vec<BackupView>>,
    /// Those that can still be taken back.
    recycled_backups: Option<Vec<BackupView>>,
}

/// What stands before the lists.
#[derive(Serialize, ToSchema)]
pub struct ExportHead {
    /// `holdfast-account-export/1`
    pub format: &'static str,
    /// When it was begun.
    pub exported_at: String,
    /// As `GET /api/user`.
    pub user: UserView,
    /// In the team that the session acts in.
    #[schema(required)]
    pub role: Option<String>,
    /// Two-factor log-in.
    pub two_factor: TwoFactorExport,
    /// Browsers in which you logged in before.
    pub known_devices: Vec<KnownDeviceView>,
    /// Sessions that hold.
    pub sessions: Vec<SessionView>,
    /// Mails about the account (`mails`, kept for a day), links that are still open (`open_links`), and times in which it
    /// was suspended (`suspensions`).
    #[schema(value_type = Object)]
    pub records: Value,
    /// The team, for its owner alone; null for others.
    #[schema(required)]
    pub team: Option<TeamExport>,
}

/// Two-factor log-in.
#[derive(Serialize, ToSchema)]
pub struct TwoFactorExport {
    /// Null while it is off.
    #[schema(required)]
    pub on_since: Option<String>,
    /// Recovery codes that were not used.
    pub recovery_codes_left: i64,
}

/// A browser.
#[derive(Serialize, ToSchema)]
pub struct KnownDeviceView {
    created_at: String,
    last_seen_at: String,
}

impl KnownDeviceView {
    /// The view of `device`.
    #[must_use]
    pub fn of(device: KnownDevice) -> Self {
        Self { created_at: time::utc(device.created_at), last_seen_at: time::utc(device.last_seen_at) }
    }
}

/// The team.
#[derive(Serialize, ToSchema)]
pub struct TeamExport {
    /// Which.
    pub id: i64,
    /// Its name at destinations.
    pub uuid: String,
    /// Its name on the page.
    pub name: String,
    /// When it was made.
    pub created_at: String,
    /// Its people.
    pub members: Vec<MemberView>,
    /// The line for `authorized_keys`.
    #[schema(required)]
    pub ssh_key: Option<String>,
    /// Limit → used and allowed.
    pub limits: TeamLimitsView,
}

/// A person in the team.
#[derive(Serialize, ToSchema)]
pub struct MemberView {
    user_id: i64,
    /// `owner`, `admin`, `operator`, `viewer`, `restorer`.
    role: String,
    created_at: String,
}

impl MemberView {
    /// The view of `row`.
    #[must_use]
    pub fn of(row: rows::members::Model) -> Self {
        Self { user_id: row.user_id, role: row.role, created_at: time::utc(row.created_at) }
    }
}

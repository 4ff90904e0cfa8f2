//! A task as a client writes it: the page's flat form, and ours beside it.

use super::limits::LimitsBody;
use super::retention_body::RetentionBody;
use super::source_body::SourceBody;
use crate::validation::{Fields, Mode, Presence, rules, texts};
use holdfast_domain::schedule::{TimeOfDay, UnixCron};
use std::collections::BTreeSet;
use utoipa::ToSchema;
use validator::Validate;

const TYPES: [&str; 2] = ["files", "database"];
const FREQUENCIES: [&str; 4] = ["daily", "weekly", "custom", "manual"];
const MODES: [&str; 4] = ["managed", "recipients", "password", "none"];
/// Destinations of one task at most.
const DESTINATIONS_MAX: usize = 10;
/// Public keys of one task at most.
const RECIPIENTS_MAX: usize = 20;
/// Tags of one task at most, and notification streams.
const ATTACHED_MAX: usize = 50;

/// A task as a client writes it. Fields of page 003 and, after them, ours.
#[derive(Default, Validate, ToSchema)]
#[schema(as = BackupTaskBody)]
pub(crate) struct Body {
    pub remote_server_id: Option<i64>,
    /// Or `backup_destination_ids`.
    pub backup_destination_id: Option<i64>,
    #[validate(length(max = 255))]
    pub label: Option<String>,
    pub description: Option<String>,
    /// The short form of `source.paths`.
    pub source_path: Option<String>,
    /// `daily`, `weekly`, `custom`, `manual`.
    pub frequency: Option<String>,
    /// 0 = keep all; not needed where `retention.keep_last` is given.
    #[validate(range(min = 0, max = 2_147_483_647))]
    pub maximum_backups_to_keep: Option<i64>,
    /// `files`, `database`.
    #[schema(rename = "type")]
    pub kind: Option<String>,
    /// The short form of `source.databases`.
    pub database_name: Option<String>,
    /// Letters, digits, dots, underscores and dashes.
    pub appended_file_name: Option<String>,
    /// Folder at the destinations.
    pub store_path: Option<String>,
    /// Comma list; the short form of `source.excluded_tables`.
    pub excluded_database_tables: Option<String>,
    /// Log in as this user for this task.
    pub isolated_username: Option<String>,
    /// Write-only.
    #[validate(length(max = 1024))]
    pub isolated_password: Option<String>,
    /// Write-only; at least 12 characters. Null takes it away.
    #[validate(length(min = 12, max = 1024))]
    pub encryption_password: Option<String>,
    /// `HH:MM`, in `timezone` or else in UTC.
    pub time_to_run_at: Option<String>,
    /// Five-field cron, with `frequency: custom`.
    pub custom_cron_expression: Option<String>,
    /// IANA name; without it the schedule is in UTC.
    pub timezone: Option<String>,
    /// 0 = Sunday; a weekly task without it gets the day of its creation.
    #[validate(range(min = 0, max = 6))]
    pub weekday: Option<i64>,
    /// In order; the singular is its first.
    pub backup_destination_ids: Option<Vec<i64>>,
    pub encryption: Option<EncryptionBody>,
    pub source: Option<SourceBody>,
    pub limits: Option<LimitsBody>,
    pub retention: Option<RetentionBody>,
    /// Ids of the team's tags; an empty list takes them all off.
    pub tags: Option<Vec<i64>>,
    /// Ids of the team's notification streams; an empty list takes them all off.
    pub notification_streams: Option<Vec<i64>>,
    /// A name for scripts: small letters, digits and dashes, at most 64, unique among the team's tasks. Null takes it away.
    pub alias: Option<String>,
    /// How many seconds later than usual a success may be before the alarm; null = the operator's default.
    #[validate(range(min = 0, max = 2_592_000))]
    pub grace_secs: Option<i64>,
    /// Write-only: an https address that is told of each run. It hears of a success itself, `/start` and `/fail` below it
    /// of the rest. Null takes it away.
    #[validate(length(max = 2048))]
    pub ping_url: Option<String>,
}

/// Which fields a body has, null or not: absent and null differ in an update.
pub(crate) struct Sent(BTreeSet<&'static str>);

/// Fields whose absence differs from null.
const CLEARABLE: [&str; 16] = [
    "alias",
    "description",
    "grace_secs",
    "source_path",
    "database_name",
    "appended_file_name",
    "store_path",
    "excluded_database_tables",
    "isolated_username",
    "isolated_password",
    "ping_url",
    "encryption_password",
    "time_to_run_at",
    "custom_cron_expression",
    "timezone",
    "weekday",
];

impl Sent {
    /// Of `fields`.
    pub fn of(fields: &Fields) -> Self {
        Self(CLEARABLE.into_iter().filter(|name| fields.sent(name)).collect())
    }

    /// The value that counts: what was sent, null included, else what is stored.
    pub fn or_stored<T>(&self, name: &'static str, sent: Option<T>, stored: Option<T>) -> Option<T> {
        debug_assert!(CLEARABLE.contains(&name), "{name}");
        if self.0.contains(name) { sent } else { stored }
    }

    /// Whether `name` was sent.
    pub fn has(&self, name: &'static str) -> bool {
        debug_assert!(CLEARABLE.contains(&name), "{name}");
        self.0.contains(name)
    }
}

/// How a backup is encrypted.
#[derive(Default, ToSchema)]
pub(crate) struct EncryptionBody {
    /// `managed`, `recipients`, `password`, `none`.
    pub mode: Option<String>,
    /// `age1…`: with `managed` besides the team's key, with `recipients` instead of it.
    pub recipients: Option<Vec<String>>,
}

impl Body {
    /// Reads in the order in which the reference declares the fields.
    pub fn read(fields: &mut Fields) -> Self {
        let retention = fields.object("retention", Presence::Optional, RetentionBody::read);
        let has_number = retention.as_ref().is_some_and(|retention| retention.keep_last.is_some());
        let number = if has_number { Presence::Optional } else { Presence::Required };
        let body = Self {
            remote_server_id: fields.integer("remote_server_id", Presence::Required),
            backup_destination_id: fields.integer("backup_destination_id", destination_presence(fields)),
            label: fields.string("label", Presence::Required),
            description: fields.text("description", Presence::Optional),
            source_path: fields
                .parsed("source_path", Presence::Optional, |raw| holdfast_domain::paths::absolute(raw.trim())),
            frequency: fields.one_of("frequency", Presence::Required, &FREQUENCIES),
            maximum_backups_to_keep: fields.integer("maximum_backups_to_keep", number),
            kind: fields.one_of("type", Presence::Required, &TYPES),
            database_name: fields.parsed("database_name", Presence::Optional, rules::database_name),
            appended_file_name: fields.parsed("appended_file_name", Presence::Optional, rules::appended_filename),
            store_path: fields.parsed("store_path", Presence::Optional, rules::store_path),
            excluded_database_tables: fields.string("excluded_database_tables", Presence::Optional),
            isolated_username: fields.parsed("isolated_username", Presence::Optional, rules::login),
            isolated_password: fields.secret("isolated_password", Presence::Optional, false),
            encryption_password: fields.secret("encryption_password", Presence::Optional, false),
            time_to_run_at: fields.string("time_to_run_at", Presence::Optional),
            custom_cron_expression: fields.parsed("custom_cron_expression", Presence::Optional, cron),
            timezone: fields.parsed("timezone", Presence::Optional, rules::timezone),
            weekday: fields.integer("weekday", Presence::Optional),
            backup_destination_ids: fields.integers("backup_destination_ids", Presence::Optional, DESTINATIONS_MAX),
            encryption: fields.object("encryption", Presence::Optional, EncryptionBody::read),
            source: fields.object("source", Presence::Optional, SourceBody::read),
            limits: fields.object("limits", Presence::Optional, LimitsBody::read),
            tags: attached("tags", fields),
            notification_streams: attached("notification_streams", fields),
            alias: fields.parsed("alias", Presence::Optional, rules::alias),
            grace_secs: fields.integer("grace_secs", Presence::Optional),
            ping_url: fields.secret("ping_url", Presence::Optional, false),
            retention,
        };
        fields.check(&body);
        body.check_time(fields);
        body.check_places(fields);
        body
    }

    fn check_time(&self, fields: &mut Fields) {
        if self.time_to_run_at.as_ref().is_some_and(|text| text.parse::<TimeOfDay>().is_err()) {
            fields.fail("time_to_run_at", "The time to run at field must match the format H:i.");
        }
        // What runs by hand alone needs neither; the peer knows no such task.
        let (time, cron) = ("time_to_run_at", "custom_cron_expression");
        let is_manual = self.frequency.as_deref() == Some("manual");
        let is_asked = fields.mode() == Mode::Create || fields.sent(time) || fields.sent(cron);
        if is_manual || !is_asked || fields.filled(time) || fields.filled(cron) {
            return;
        }
        for (field, other) in [(time, cron), (cron, time)] {
            if fields.mode() == Mode::Create || fields.sent(field) {
                fields.fail(field, texts::required_without(field, other));
            }
        }
    }

    fn check_places(&self, fields: &mut Fields) {
        if fields.sent("backup_destination_ids") && self.backup_destination_ids.as_ref().is_none_or(Vec::is_empty) {
            let field = "backup_destination_ids";
            if !fields.failed(field) {
                fields.fail(field, texts::required(field));
            }
        }
        let is_password = self.encryption.as_ref().is_some_and(|e| e.mode.as_deref() == Some("password"));
        let is_new = fields.mode() == Mode::Create;
        if is_password && is_new && self.encryption_password.is_none() && !fields.failed("encryption_password") {
            let text = texts::required_when("encryption_password", "encryption.mode", "password");
            fields.fail("encryption_password", text);
        }
    }

    /// Destinations in order; the singular form is a list of one.
    pub fn destination_ids(&self) -> Option<Vec<i64>> {
        self.backup_destination_ids.clone().or_else(|| self.backup_destination_id.map(|id| vec![id]))
    }
}

impl EncryptionBody {
    fn read(fields: &mut Fields) -> Self {
        let body = Self {
            mode: fields.one_of("mode", Presence::Optional, &MODES),
            recipients: fields.strings("recipients", Presence::Optional, RECIPIENTS_MAX, rules::age_recipient),
        };
        let has_recipients = body.recipients.as_ref().is_some_and(|list| !list.is_empty());
        match body.mode.as_deref() {
            Some("recipients") if !has_recipients && !fields.failed("recipients") => {
                fields
                    .fail("recipients", texts::required_when("encryption.recipients", "encryption.mode", "recipients"));
            }
            Some("password" | "none") if has_recipients => {
                fields.fail_invalid("recipients", &"recipients go with the modes managed and recipients only");
            }
            _ => {}
        }
        body
    }
}

/// Ids to attach; null is the empty list, because a form cannot write that one.
fn attached(name: &'static str, fields: &mut Fields) -> Option<Vec<i64>> {
    let is_none = fields.sent(name) && !fields.filled(name);
    fields.integers(name, Presence::Optional, ATTACHED_MAX).or(is_none.then(Vec::new))
}

/// The singular is not required where the list is given.
fn destination_presence(fields: &Fields) -> Presence {
    if fields.filled("backup_destination_ids") { Presence::Optional } else { Presence::Required }
}

fn cron(raw: &str) -> Result<String, String> {
    UnixCron::parse(raw.trim()).map(|cron| cron.as_str().to_owned()).map_err(|problem| problem.to_string())
}

//! A task as a client writes it: the page's flat form, and ours beside it.

use super::limits::LimitsBody;
use super::retention_body::RetentionBody;
use super::scripts_body::TaskScriptBody;
use super::source_body::SourceBody;
use crate::validation::{Fields, Mode, Presence, rules, texts};
use chrono::{DateTime, Utc};
use holdfast_domain::schedule::{CatchUp, Frequency, TimeOfDay, UnixCron};
use std::collections::BTreeSet;
use utoipa::ToSchema;
use validator::Validate;

const TYPES: [&str; 2] = ["files", "database"];
const OVERLAPS: [&str; 3] = ["refuse", "queue", "skip"];
const MODES: [&str; 4] = ["managed", "recipients", "password", "none"];
/// Destinations of one task at most.
const DESTINATIONS_MAX: usize = 10;
/// Public keys of one task at most.
const RECIPIENTS_MAX: usize = 20;
/// Weekdays there are.
const WEEKDAYS: usize = 7;
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
    /// `hourly`, `daily`, `weekly`, `monthly`, `interval`, `custom`, `manual`.
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
    /// `HH:MM`, in `timezone` or else in UTC; of a daily, weekly or monthly task.
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
    /// Scripts of the team, in the order in which they run within their phase; the list replaces the whole. Needs the
    /// ability `manage-scripts`.
    pub scripts: Option<Vec<TaskScriptBody>>,
    /// A name for scripts: small letters, digits and dashes, at most 64, unique among the team's tasks. Null takes it away.
    pub alias: Option<String>,
    /// How many seconds later than usual a success may be before the alarm; null = the operator's default.
    #[validate(range(min = 0, max = 2_592_000))]
    pub grace_secs: Option<i64>,
    /// Write-only: an https address that is told of each run. It hears of a success itself, `/start` and `/fail` below it
    /// of the rest. Null takes it away.
    #[validate(length(max = 2048))]
    pub ping_url: Option<String>,
    /// Of a weekly task on several days, 0 = Sunday; `weekday` is its first.
    pub weekdays: Option<Vec<i64>>,
    /// Of an hourly task: the minute of each hour; 0 without it.
    #[validate(range(min = 0, max = 59))]
    pub minute: Option<i64>,
    /// Of a monthly task: 1 to 31, or `last`. A month without that day has its last one instead.
    #[validate(range(min = 1, max = 31))]
    pub month_day: Option<i64>,
    /// With `frequency: interval`: whole minutes, 60 to 31,622,400.
    #[validate(range(min = 60, max = 31_622_400))]
    pub interval_secs: Option<i64>,
    /// The first time of an interval, from which all others follow; the minute of the task's creation without it.
    pub interval_from: Option<DateTime<Utc>>,
    /// `HH:MM`: the schedule starts no run earlier in the day. With `window_until`, which may be past midnight.
    pub window_from: Option<String>,
    /// `HH:MM`: nor from then on.
    pub window_until: Option<String>,
    /// How many seconds after its time a run may be queued, the same for the same time; 0 to 86,400.
    #[validate(range(min = 0, max = 86_400))]
    pub jitter_secs: Option<i64>,
    /// `once` (without it): one run makes up for all times that were missed. `spread`: so does one, a while later. `skip`:
    /// they are recorded as missed.
    pub catch_up: Option<String>,
    /// 1 to 9, 5 without it: of the team's queued runs those with a higher one are taken first.
    #[validate(range(min = 1, max = 9))]
    pub priority: Option<i64>,
    /// What a run does that meets an unfinished one of its task: `refuse` (default; 409), `queue` (one waits behind it),
    /// `skip` (202, and the run is recorded as skipped).
    pub on_overlap: Option<String>,
}

/// Which fields a body has, null or not: absent and null differ in an update.
pub(crate) struct Sent(BTreeSet<&'static str>);

/// Fields whose absence differs from null.
const CLEARABLE: [&str; 25] = [
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
    "weekdays",
    "minute",
    "month_day",
    "interval_secs",
    "interval_from",
    "window_from",
    "window_until",
    "jitter_secs",
    "catch_up",
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
            frequency: fields.one_of("frequency", Presence::Required, &Frequency::ALL.map(Frequency::as_str)),
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
            scripts: TaskScriptBody::read(fields),
            alias: fields.parsed("alias", Presence::Optional, rules::alias),
            grace_secs: fields.integer("grace_secs", Presence::Optional),
            ping_url: fields.secret("ping_url", Presence::Optional, false),
            priority: fields.integer("priority", Presence::Optional),
            on_overlap: fields.one_of("on_overlap", Presence::Optional, &OVERLAPS),
            retention,
            ..Self::read_timing(fields)
        };
        fields.check(&body);
        body.check_time(fields);
        body.check_places(fields);
        body
    }

    /// Of a schedule alone, which is to be stored with no task.
    pub fn read_schedule(fields: &mut Fields) -> Self {
        let body = Self {
            frequency: fields.one_of("frequency", Presence::Required, &Frequency::ALL.map(Frequency::as_str)),
            time_to_run_at: fields.string("time_to_run_at", Presence::Optional),
            custom_cron_expression: fields.parsed("custom_cron_expression", Presence::Optional, cron),
            timezone: fields.parsed("timezone", Presence::Optional, rules::timezone),
            weekday: fields.integer("weekday", Presence::Optional),
            ..Self::read_timing(fields)
        };
        fields.check(&body);
        body.check_time(fields);
        body
    }

    /// The part of a schedule that the peer does not know.
    fn read_timing(fields: &mut Fields) -> Self {
        let is_last = fields.is_text("month_day", "last");
        let body = Self {
            weekdays: fields.integers("weekdays", Presence::Optional, WEEKDAYS),
            minute: fields.integer("minute", Presence::Optional),
            month_day: if is_last {
                fields.string("month_day", Presence::Optional).map(|_| 31)
            } else {
                fields.integer("month_day", Presence::Optional)
            },
            interval_secs: fields.integer("interval_secs", Presence::Optional),
            interval_from: fields
                .parsed("interval_from", Presence::Optional, minute)
                .and_then(|text| DateTime::parse_from_rfc3339(&text).ok())
                .map(|at| at.to_utc()),
            window_from: fields.string("window_from", Presence::Optional),
            window_until: fields.string("window_until", Presence::Optional),
            jitter_secs: fields.integer("jitter_secs", Presence::Optional),
            catch_up: fields.one_of("catch_up", Presence::Optional, &CatchUp::ALL.map(CatchUp::as_str)),
            ..Self::default()
        };
        if body.weekdays.as_ref().is_some_and(|days| days.is_empty() || days.iter().any(|day| !(0..7).contains(day))) {
            fields.fail_invalid("weekdays", &"it must be at least one day from 0 (Sunday) to 6 (Saturday)");
        }
        if body.interval_secs.is_some_and(|secs| secs % 60 != 0) {
            fields.fail_invalid("interval_secs", &"it must be whole minutes");
        }
        body
    }

    fn check_time(&self, fields: &mut Fields) {
        let times = [("time_to_run_at", &self.time_to_run_at), ("window_from", &self.window_from)];
        for (field, text) in times.into_iter().chain([("window_until", &self.window_until)]) {
            if text.as_ref().is_some_and(|text| text.parse::<TimeOfDay>().is_err()) {
                fields.fail(field, format!("The {} field must match the format H:i.", texts::attribute(field)));
            }
        }
        // What runs by hand alone, by the hour or by an interval needs neither; the peer knows no such task.
        let (time, cron) = ("time_to_run_at", "custom_cron_expression");
        let is_timeless = matches!(self.frequency.as_deref(), Some("manual" | "hourly" | "interval"));
        let is_asked = fields.mode() == Mode::Create || fields.sent(time) || fields.sent(cron);
        if is_timeless || !is_asked || fields.filled(time) || fields.filled(cron) {
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

    /// The column: what was sent, else what is stored.
    pub fn priority(&self, stored: i16) -> i16 {
        self.priority.and_then(|priority| i16::try_from(priority).ok()).unwrap_or(stored)
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

/// An instant, to the minute: due times are whole minutes.
fn minute(raw: &str) -> Result<String, &'static str> {
    let at = DateTime::parse_from_rfc3339(raw.trim()).map_err(|_| "it must be an RFC 3339 time")?;
    if at.timestamp() % 60 != 0 || !(0..253_402_300_800).contains(&at.timestamp()) {
        return Err("it must be a whole minute");
    }
    Ok(at.to_utc().to_rfc3339())
}

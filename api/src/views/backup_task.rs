//! A task in the shape of page 003, with what we add to it behind the page's own fields.

use super::keeping::RetentionView;
use super::script::ParameterValueSchema;
use super::time;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use holdfast_domain::schedule::{TimeOfDay, shown_times};
use holdfast_domain::script::ParameterValues;
use holdfast_domain::source::{DatabaseSpec, SourceSpec};
use holdfast_store::repositories::retention::rule_of;
use holdfast_store::repositories::task_scripts::TaskScript;
use holdfast_store::repositories::task_surroundings::Surrounding;
use holdfast_store::rows;
use serde::Serialize;
use utoipa::ToSchema;

/// The definition of a backup.
#[derive(Serialize, ToSchema)]
pub struct BackupTaskView {
    id: i64,
    user_id: i64,
    remote_server_id: i64,
    /// The first of `backup_destination_ids`.
    #[schema(required)]
    backup_destination_id: Option<i64>,
    label: String,
    #[schema(required)]
    description: Option<String>,
    source: SourceView,
    schedule: ScheduleView,
    storage: StorageView,
    notification_streams_count: u64,
    /// `running` from the 202 of a run until its final state, else `ready`.
    status: &'static str,
    has_isolated_credentials: bool,
    has_encryption_password: bool,
    #[schema(required)]
    last_run_local_time: Option<String>,
    #[schema(required)]
    last_run_utc_time: Option<String>,
    #[schema(required)]
    paused_at: Option<String>,
    created_at: String,
    updated_at: String,
    backup_destination_ids: Vec<i64>,
    #[schema(required)]
    isolated_username: Option<String>,
    encryption: EncryptionView,
    limits: LimitsView,
    retention: RetentionView,
    /// By id.
    tags: Vec<TagOnTaskView>,
    /// Ids of those attached to this task; those of all the team are told of it too.
    notification_streams: Vec<i64>,
    /// In the order in which they run within their phase.
    scripts: Vec<ScriptOnTaskView>,
    /// A name for scripts.
    #[schema(required)]
    alias: Option<String>,
    /// Null: the operator's default.
    #[schema(required)]
    grace_secs: Option<i32>,
    /// Without a success by then the team is alarmed. Null for a task that is paused or runs by hand alone, and for a
    /// moment after a success.
    #[schema(required)]
    next_success_expected_by: Option<String>,
    /// Since when it is overdue: alarmed, and without a success since.
    #[schema(required)]
    overdue_since: Option<String>,
    /// Whether a dead man's switch hears of its runs.
    is_ping_url_set: bool,
    /// 1 to 9: of the team's queued runs those with a higher one are taken first.
    priority: i16,
    /// `refuse`, `queue`, `skip`: what a run does that meets an unfinished one of its task.
    on_overlap: String,
}

#[derive(Serialize, ToSchema)]
struct TagOnTaskView {
    id: i64,
    label: String,
}

#[derive(Serialize, ToSchema)]
struct ScriptOnTaskView {
    script_id: i64,
    label: String,
    /// `before`, `after`.
    phase: &'static str,
    /// `always`, `success`, `failure`.
    run_on: &'static str,
    /// `abort`, `warn`, `continue`.
    on_failure: &'static str,
    /// Null: the script's own.
    #[schema(required)]
    timeout_secs: Option<i32>,
    /// Values by the names of the script's parameters: a text, or `{"secret_name": "…"}`.
    #[schema(value_type = BTreeMap<String, ParameterValueSchema>)]
    parameters: ParameterValues,
}

#[derive(Serialize, ToSchema)]
struct SourceView {
    #[schema(required)]
    path: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    #[schema(required)]
    database_name: Option<String>,
    /// Comma list, as the page has it.
    #[schema(required)]
    excluded_tables: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paths: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    excludes: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    one_file_system: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sparse: Option<bool>,
    #[serde(flatten)]
    database: Option<DatabaseView>,
}

#[derive(Serialize, ToSchema)]
struct DatabaseView {
    engine: String,
    host: Option<String>,
    port: Option<u16>,
    username: Option<String>,
    databases: Vec<String>,
    excluded_table_data: Vec<String>,
    has_password: bool,
}

#[derive(Serialize, ToSchema)]
struct ScheduleView {
    /// `hourly`, `daily`, `weekly`, `monthly`, `interval`, `custom`, `manual`.
    frequency: String,
    #[schema(required)]
    scheduled_utc_time: Option<String>,
    #[schema(required)]
    scheduled_local_time: Option<String>,
    #[schema(required)]
    custom_cron: Option<String>,
    /// Null: the schedule is in UTC.
    #[schema(required)]
    timezone: Option<String>,
    /// 0 = Sunday.
    #[schema(required)]
    weekday: Option<i16>,
    /// Null for a task that is paused or runs by hand alone. With `jitter_secs`, when the run is queued.
    #[schema(required)]
    next_run_at: Option<String>,
    /// Of a weekly task; 0 = Sunday.
    weekdays: Vec<i16>,
    /// Of an hourly task.
    #[schema(required)]
    minute: Option<i16>,
    /// Of a monthly task. A month without that day has its last one instead.
    #[schema(required)]
    month_day: Option<i16>,
    /// Of a task that runs by intervals.
    #[schema(required)]
    interval_secs: Option<i32>,
    /// The first time of an interval.
    #[schema(required)]
    interval_from: Option<String>,
    /// The schedule starts no run earlier in the day; null: at any time.
    #[schema(required)]
    window_from: Option<String>,
    /// Nor from then on.
    #[schema(required)]
    window_until: Option<String>,
    /// How many seconds after its time a run may be queued.
    jitter_secs: i32,
    /// `once`, `spread`, `skip`: what becomes of times that were missed.
    catch_up: String,
}

#[derive(Serialize, ToSchema)]
struct StorageView {
    max_backups: i32,
    #[schema(required)]
    appended_filename: Option<String>,
    #[schema(required)]
    path: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct EncryptionView {
    /// `managed`, `recipients`, `password`, `none`.
    mode: String,
    recipients: Vec<String>,
}

#[derive(Serialize, ToSchema)]
struct LimitsView {
    /// Null: the operator's limit alone.
    #[schema(required)]
    max_duration_secs: Option<i32>,
}

/// What the view needs besides the row.
pub struct TaskContext {
    /// What is read beside it.
    pub surrounding: Surrounding,
    /// Of the reader.
    pub user_zone: Tz,
    /// The present.
    pub now: DateTime<Utc>,
}

impl BackupTaskView {
    /// Which task.
    #[must_use]
    pub fn id(&self) -> i64 {
        self.id
    }

    /// The view of `row`.
    #[must_use]
    pub fn of(row: rows::backup_tasks::Model, context: TaskContext) -> Self {
        let local_zone = row.timezone.as_deref().map_or(context.user_zone, time::zone);
        let schedule = schedule(&row, &context, local_zone);
        let Surrounding { destination_ids, tags, stream_ids, scripts, is_running } = context.surrounding;
        Self {
            schedule,
            retention: RetentionView::from(&rule_of(&row)),
            source: source(&row),
            id: row.id,
            user_id: row.user_id,
            remote_server_id: row.remote_server_id,
            backup_destination_id: destination_ids.first().copied(),
            label: row.label,
            description: row.description,
            storage: StorageView {
                max_backups: row.max_backups,
                appended_filename: row.appended_filename,
                path: row.store_path,
            },
            notification_streams_count: stream_ids.len() as u64,
            status: status(is_running),
            has_isolated_credentials: row.isolated_username.is_some(),
            has_encryption_password: row.sealed_encryption_password.is_some(),
            last_run_local_time: row.last_run_at.map(|at| time::local(at, local_zone)),
            last_run_utc_time: time::utc_or_null(row.last_run_at),
            paused_at: time::utc_or_null(row.paused_at),
            created_at: time::utc(row.created_at),
            updated_at: time::utc(row.updated_at),
            backup_destination_ids: destination_ids,
            isolated_username: row.isolated_username,
            encryption: EncryptionView { mode: row.encryption_mode, recipients: row.encryption_recipients },
            limits: LimitsView { max_duration_secs: row.max_duration_secs },
            tags: tags.into_iter().map(|tag| TagOnTaskView { id: tag.id, label: tag.label }).collect(),
            notification_streams: stream_ids,
            scripts: scripts.into_iter().map(script).collect(),
            alias: row.alias,
            grace_secs: row.grace_secs,
            next_success_expected_by: time::utc_or_null(
                row.next_success_expected_by.filter(|_| !row.is_expectation_due),
            ),
            overdue_since: time::utc_or_null(row.overdue_since),
            is_ping_url_set: row.sealed_ping_url.is_some(),
            priority: row.priority,
            on_overlap: row.on_overlap,
        }
    }
}

fn script((label, script): (String, TaskScript)) -> ScriptOnTaskView {
    ScriptOnTaskView {
        script_id: script.script_id,
        label,
        phase: script.phase.as_str(),
        run_on: script.run_on.as_str(),
        on_failure: script.on_failure.as_str(),
        timeout_secs: script.timeout_secs,
        parameters: script.parameters,
    }
}

/// The page's word for whether a run is unfinished.
#[must_use]
pub fn status(is_running: bool) -> &'static str {
    if is_running { "running" } else { "ready" }
}

fn schedule(row: &rows::backup_tasks::Model, context: &TaskContext, local_zone: Tz) -> ScheduleView {
    let task_zone = row.timezone.as_deref().map_or(Tz::UTC, time::zone);
    let at = row.time_to_run_at.as_deref().and_then(|text| text.parse::<TimeOfDay>().ok());
    let shown = at.map(|at| shown_times(at, task_zone, local_zone, context.now));
    ScheduleView {
        frequency: row.frequency.clone(),
        scheduled_utc_time: shown.map(|times| times.utc.to_string()),
        scheduled_local_time: shown.map(|times| times.local.to_string()),
        custom_cron: row.custom_cron.clone(),
        timezone: row.timezone.clone(),
        weekday: row.weekday,
        next_run_at: time::utc_or_null(row.next_run_at.filter(|_| row.paused_at.is_none())),
        weekdays: weekdays(row),
        minute: row.minute,
        month_day: row.month_day,
        interval_secs: row.interval_secs,
        interval_from: time::utc_or_null(row.interval_from),
        window_from: row.window_from.clone(),
        window_until: row.window_until.clone(),
        jitter_secs: row.jitter_secs,
        catch_up: row.catch_up.clone(),
    }
}

/// One day of a task from before there were several.
fn weekdays(row: &rows::backup_tasks::Model) -> Vec<i16> {
    if row.weekdays.is_empty() { row.weekday.into_iter().collect() } else { row.weekdays.clone() }
}

fn source(row: &rows::backup_tasks::Model) -> SourceView {
    let mut view = SourceView {
        path: None,
        kind: row.r#type.clone(),
        database_name: None,
        excluded_tables: None,
        paths: None,
        excludes: None,
        one_file_system: None,
        sparse: None,
        database: None,
    };
    match serde_json::from_value::<SourceSpec>(row.source.clone()) {
        Ok(SourceSpec::Files(files)) => {
            view.path = files.paths.first().cloned();
            view.paths = Some(files.paths);
            view.excludes = Some(files.excludes);
            view.one_file_system = Some(files.one_file_system);
            view.sparse = Some(files.sparse);
        }
        Ok(SourceSpec::Database(spec)) => {
            view.database_name = comma_list(&spec.databases);
            view.excluded_tables = comma_list(&spec.excluded_tables);
            view.path = spec.path.clone();
            view.database = Some(database(spec, row.sealed_source_password.is_some()));
        }
        // A row of another version: the page's fields stay null rather than the whole list failing.
        Err(error) => tracing::error!(task = row.id, %error, "unreadable source"),
    }
    view
}

fn database(spec: DatabaseSpec, has_password: bool) -> DatabaseView {
    DatabaseView {
        engine: spec.engine.as_str().to_owned(),
        host: spec.host,
        port: spec.port,
        username: spec.username,
        databases: spec.databases,
        excluded_table_data: spec.excluded_table_data,
        has_password,
    }
}

fn comma_list(names: &[String]) -> Option<String> {
    (!names.is_empty()).then(|| names.join(","))
}

//! The bare handler: what a list costs when nothing is done but reading it. One query that holds all of the body, and the body.

use super::teams::owner;
use anyhow::Result;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::get;
use axum::{Json, Router};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgPool, PgPoolOptions, PgRow};
use sqlx::{Row, types::Json as Jsonb};
use std::io::Write;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpListener;

/// The product's default.
const CONNECTIONS: u32 = 16;
const PER_PAGE: u64 = 100;

const LIST: &str = "
SELECT t.id, t.user_id, t.remote_server_id, t.label, t.description, t.type, t.source, t.frequency, t.time_to_run_at,
       t.custom_cron, t.timezone, t.weekday, t.next_run_at, t.max_backups, t.appended_filename, t.store_path,
       t.encryption_mode, t.encryption_recipients, t.isolated_username, t.sealed_encryption_password IS NOT NULL,
       t.paused_at, t.last_run_at, t.created_at, t.updated_at, t.max_age_secs, t.keep_floor, t.recycle_secs,
       t.max_duration_secs, t.alias,
       ARRAY (SELECT d.backup_destination_id FROM backup_task_destinations d
              WHERE d.backup_task_id = t.id ORDER BY d.position),
       ARRAY (SELECT s.notification_stream_id FROM backup_task_notification_streams s
              WHERE s.backup_task_id = t.id ORDER BY 1),
       coalesce(a.ids, '{}'), coalesce(a.labels, '{}'),
       EXISTS (SELECT FROM backup_runs r WHERE r.backup_task_id = t.id
               AND r.status IN ('queued', 'running', 'verifying')),
       count(*) OVER (),
       t.grace_secs, CASE WHEN t.is_expectation_due THEN NULL ELSE t.next_success_expected_by END, t.overdue_since,
       t.sealed_ping_url IS NOT NULL, t.priority, t.on_overlap,
       CASE WHEN t.weekdays = '{}' THEN array_remove(ARRAY[t.weekday], NULL) ELSE t.weekdays END, t.minute, t.month_day,
       t.interval_secs, t.interval_from, t.window_from, t.window_until, t.jitter_secs, t.catch_up,
       ARRAY (SELECT p.script_id FROM backup_task_scripts p WHERE p.backup_task_id = t.id ORDER BY p.position)
FROM backup_tasks t, LATERAL (
    SELECT array_agg(g.id ORDER BY g.id) AS ids, array_agg(g.label ORDER BY g.id) AS labels
    FROM backup_task_tags x JOIN tags g ON g.id = x.tag_id WHERE x.backup_task_id = t.id) a
WHERE t.team_id = $1 AND t.deleted_at IS NULL ORDER BY t.id LIMIT $2 OFFSET 0";

#[derive(Clone)]
struct Shared {
    pool: PgPool,
    base: Arc<str>,
}

/// Serves until it is killed; says where on standard output.
pub(crate) async fn serve(socket: &Path, base: &str) -> Result<()> {
    let pool = PgPoolOptions::new().max_connections(CONNECTIONS).connect_with(owner(socket)).await?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    writeln!(std::io::stdout().lock(), "{}", listener.local_addr()?)?;
    let app = Router::new().route("/", get(list)).with_state(Shared { pool, base: base.into() });
    Ok(axum::serve(listener, app).await?)
}

#[derive(Deserialize)]
struct Wanted {
    team: i64,
}

async fn list(
    State(shared): State<Shared>,
    Query(wanted): Query<Wanted>,
) -> Result<(HeaderMap, Json<Page>), StatusCode> {
    let rows = sqlx::query(LIST).bind(wanted.team).bind(PER_PAGE as i64).fetch_all(&shared.pool).await;
    let rows = rows.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let total = rows.first().map_or(Ok(0), |row| row.try_get(34)).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let tasks: sqlx::Result<Vec<Task>> = rows.iter().map(task).collect();
    let page = page(tasks.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?, total, &shared.base);
    let headers = [(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store, private"))];
    Ok((HeaderMap::from_iter(headers), Json(page)))
}

#[derive(Serialize)]
struct Page {
    data: Vec<Task>,
    links: Links,
    meta: Meta,
}

#[derive(Serialize)]
struct Links {
    first: String,
    last: String,
    prev: Option<String>,
    next: Option<String>,
}

#[derive(Serialize)]
struct Meta {
    current_page: u64,
    from: Option<u64>,
    last_page: u64,
    links: Vec<Button>,
    path: String,
    per_page: u64,
    to: Option<u64>,
    total: i64,
}

#[derive(Serialize)]
struct Button {
    url: Option<String>,
    label: &'static str,
    active: bool,
}

/// Everything is on the first page.
fn page(data: Vec<Task>, total: i64, base: &str) -> Page {
    let path = format!("{base}/api/backup-tasks");
    let url = format!("{path}?per_page={PER_PAGE}&page=1");
    let button = |label, url: Option<String>| Button { active: url.is_some(), url, label };
    let links = vec![button("&laquo; Previous", None), button("1", Some(url.clone())), button("Next &raquo;", None)];
    let count = data.len() as u64;
    let (from, to) = ((count > 0).then_some(1), (count > 0).then_some(count));
    let meta = Meta { current_page: 1, from, last_page: 1, links, path, per_page: PER_PAGE, to, total };
    Page { data, links: Links { first: url.clone(), last: url, prev: None, next: None }, meta }
}

#[derive(Serialize)]
struct Task {
    id: i64,
    user_id: i64,
    remote_server_id: i64,
    backup_destination_id: Option<i64>,
    label: String,
    description: Option<String>,
    source: Source,
    schedule: Schedule,
    storage: Storage,
    notification_streams_count: usize,
    status: &'static str,
    has_isolated_credentials: bool,
    has_encryption_password: bool,
    last_run_local_time: Option<String>,
    last_run_utc_time: Option<String>,
    paused_at: Option<String>,
    created_at: String,
    updated_at: String,
    backup_destination_ids: Vec<i64>,
    isolated_username: Option<String>,
    encryption: Encryption,
    limits: Limits,
    retention: Retention,
    tags: Vec<Tag>,
    notification_streams: Vec<i64>,
    scripts: Vec<i64>,
    alias: Option<String>,
    grace_secs: Option<i32>,
    next_success_expected_by: Option<String>,
    overdue_since: Option<String>,
    is_ping_url_set: bool,
    priority: i16,
    on_overlap: String,
}

#[derive(Serialize)]
struct Source {
    path: Option<String>,
    r#type: String,
    database_name: Option<String>,
    excluded_tables: Option<String>,
    paths: Vec<String>,
    excludes: Vec<String>,
    one_file_system: bool,
    sparse: bool,
}

/// As it is stored.
#[derive(Deserialize)]
struct Files {
    paths: Vec<String>,
    excludes: Vec<String>,
    one_file_system: bool,
    sparse: bool,
}

#[derive(Serialize)]
struct Schedule {
    frequency: String,
    scheduled_utc_time: Option<String>,
    scheduled_local_time: Option<String>,
    custom_cron: Option<String>,
    timezone: Option<String>,
    weekday: Option<i16>,
    next_run_at: Option<String>,
    weekdays: Vec<i16>,
    minute: Option<i16>,
    month_day: Option<i16>,
    interval_secs: Option<i32>,
    interval_from: Option<String>,
    window_from: Option<String>,
    window_until: Option<String>,
    jitter_secs: i32,
    catch_up: String,
}

#[derive(Serialize)]
struct Storage {
    max_backups: i32,
    appended_filename: Option<String>,
    path: Option<String>,
}

#[derive(Serialize)]
struct Encryption {
    mode: String,
    recipients: Vec<String>,
}

#[derive(Serialize)]
struct Limits {
    max_duration_secs: Option<i32>,
}

#[derive(Serialize)]
struct Retention {
    keep_last: i32,
    max_age_secs: Option<i64>,
    floor: i32,
    recycle_secs: i64,
}

#[derive(Serialize)]
struct Tag {
    id: i64,
    label: String,
}

/// Everybody's zone is UTC here, so that local times are the same.
fn task(row: &PgRow) -> sqlx::Result<Task> {
    let Jsonb(files): Jsonb<Files> = row.try_get(6)?;
    let (destinations, streams): (Vec<i64>, Vec<i64>) = (row.try_get(29)?, row.try_get(30)?);
    let (tag_ids, tag_labels): (Vec<i64>, Vec<String>) = (row.try_get(31)?, row.try_get(32)?);
    let isolated: Option<String> = row.try_get(18)?;
    let last_run: Option<DateTime<Utc>> = row.try_get(21)?;
    let is_running: bool = row.try_get(33)?;
    let max_backups = row.try_get(13)?;
    Ok(Task {
        id: row.try_get(0)?,
        user_id: row.try_get(1)?,
        remote_server_id: row.try_get(2)?,
        backup_destination_id: destinations.first().copied(),
        label: row.try_get(3)?,
        description: row.try_get(4)?,
        source: Source {
            path: files.paths.first().cloned(),
            r#type: row.try_get(5)?,
            database_name: None,
            excluded_tables: None,
            paths: files.paths,
            excludes: files.excludes,
            one_file_system: files.one_file_system,
            sparse: files.sparse,
        },
        schedule: schedule(row)?,
        storage: Storage { max_backups, appended_filename: row.try_get(14)?, path: row.try_get(15)? },
        notification_streams_count: streams.len(),
        status: if is_running { "running" } else { "ready" },
        has_isolated_credentials: isolated.is_some(),
        has_encryption_password: row.try_get(19)?,
        last_run_local_time: last_run.map(|at| at.format("%Y-%m-%d %H:%M:%S").to_string()),
        last_run_utc_time: last_run.map(utc),
        paused_at: row.try_get::<Option<_>, _>(20)?.map(utc),
        created_at: utc(row.try_get(22)?),
        updated_at: utc(row.try_get(23)?),
        backup_destination_ids: destinations,
        isolated_username: isolated,
        encryption: Encryption { mode: row.try_get(16)?, recipients: row.try_get(17)? },
        limits: Limits { max_duration_secs: row.try_get(27)? },
        retention: Retention {
            keep_last: max_backups,
            max_age_secs: row.try_get(24)?,
            floor: row.try_get(25)?,
            recycle_secs: row.try_get(26)?,
        },
        tags: tag_ids.into_iter().zip(tag_labels).map(|(id, label)| Tag { id, label }).collect(),
        notification_streams: streams,
        scripts: row.try_get(50)?,
        alias: row.try_get(28)?,
        grace_secs: row.try_get(35)?,
        next_success_expected_by: row.try_get::<Option<_>, _>(36)?.map(utc),
        overdue_since: row.try_get::<Option<_>, _>(37)?.map(utc),
        is_ping_url_set: row.try_get(38)?,
        priority: row.try_get(39)?,
        on_overlap: row.try_get(40)?,
    })
}

fn utc(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn schedule(row: &PgRow) -> sqlx::Result<Schedule> {
    let time: Option<String> = row.try_get(8)?;
    Ok(Schedule {
        frequency: row.try_get(7)?,
        scheduled_utc_time: time.clone(),
        scheduled_local_time: time,
        custom_cron: row.try_get(9)?,
        timezone: row.try_get(10)?,
        weekday: row.try_get(11)?,
        next_run_at: row.try_get::<Option<_>, _>(12)?.map(utc),
        weekdays: row.try_get(41)?,
        minute: row.try_get(42)?,
        month_day: row.try_get(43)?,
        interval_secs: row.try_get(44)?,
        interval_from: row.try_get::<Option<_>, _>(45)?.map(utc),
        window_from: row.try_get(46)?,
        window_until: row.try_get(47)?,
        jitter_secs: row.try_get(48)?,
        catch_up: row.try_get(49)?,
    })
}

//! A restore point.

use super::backup_run::ProgressView;
use super::time;
use holdfast_domain::progress::Progress;
use holdfast_store::repositories::backups::BackupParts;
use holdfast_store::rows;
use serde::Serialize;
use utoipa::ToSchema;

/// A restore point, as in a list.
#[derive(Serialize, ToSchema)]
pub struct BackupView {
    id: i64,
    backup_task_id: i64,
    backup_run_id: i64,
    remote_server_id: i64,
    /// What the task was called then.
    task_label: String,
    /// `managed`, `recipients`, `password`, `none`.
    encryption_mode: String,
    has_warnings: bool,
    original_size: i64,
    stored_size: i64,
    nfiles: i64,
    held: bool,
    #[schema(required)]
    recycled_at: Option<String>,
    created_at: String,
    copies: Vec<CopyView>,
    /// Only when shown alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    streams: Option<Vec<StreamView>>,
}

/// A backup at one destination.
#[derive(Serialize, ToSchema)]
pub struct CopyView {
    id: i64,
    backup_destination_id: i64,
    /// `committed`, `failed`, `recycled`, `deleting`, `deleted`; `queued` and `running` while it is being made.
    state: String,
    verified: bool,
    /// 1: head, tail and random chunks authenticated; 2: read whole; 3: restored.
    #[schema(required)]
    verified_level: Option<i16>,
    #[schema(required)]
    verified_at: Option<String>,
    #[schema(required)]
    error_code: Option<String>,
    #[schema(required)]
    error_message: Option<String>,
    /// While it is being made later from another copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    making: Option<MakingView>,
    /// Of one that was or is made later from another copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<ProgressView>,
}

#[derive(Serialize, ToSchema)]
struct MakingView {
    /// Attempts so far.
    attempts: i32,
    /// Null while it waits.
    #[schema(required)]
    step: Option<String>,
    /// When the next attempt may begin, or this one could have.
    not_before: String,
    copied_size: u64,
    #[schema(required)]
    total_size: Option<u64>,
}

#[derive(Serialize, ToSchema)]
struct StreamView {
    name: String,
    /// `tar`, `sql`, `pgdump`.
    format: String,
    original_size: i64,
    original_sha256: String,
    stored_size: i64,
    stored_sha256: String,
    nfiles: i64,
}

impl From<rows::backup_copies::Model> for CopyView {
    fn from(row: rows::backup_copies::Model) -> Self {
        Self {
            making: making(&row),
            progress: (row.progress != serde_json::json!({}))
                .then(|| ProgressView::of_copy(row.progress.clone(), &row.state)),
            id: row.id,
            backup_destination_id: row.backup_destination_id,
            verified: row.state == "committed" && row.verified_level.is_some(),
            state: row.state,
            verified_level: row.verified_level,
            verified_at: time::utc_or_null(row.verified_at),
            error_code: row.error_code,
            error_message: row.error_message,
        }
    }
}

fn making(row: &rows::backup_copies::Model) -> Option<MakingView> {
    if !matches!(row.state.as_str(), "queued" | "running") {
        return None;
    }
    let progress: Progress = serde_json::from_value(row.progress.clone()).unwrap_or_default();
    Some(MakingView {
        attempts: row.attempts,
        step: row.step.clone(),
        not_before: time::utc(row.not_before),
        copied_size: progress.original_size,
        total_size: progress.total_expected_size,
    })
}

impl From<rows::backup_streams::Model> for StreamView {
    fn from(row: rows::backup_streams::Model) -> Self {
        Self {
            name: row.name,
            format: row.format,
            original_size: row.original_size,
            original_sha256: row.original_sha256,
            stored_size: row.stored_size,
            stored_sha256: row.stored_sha256,
            nfiles: row.nfiles,
        }
    }
}

impl BackupView {
    /// As in a list.
    #[must_use]
    pub fn of(row: rows::backups::Model, copies: Vec<rows::backup_copies::Model>) -> Self {
        Self {
            id: row.id,
            backup_task_id: row.backup_task_id,
            backup_run_id: row.backup_run_id,
            remote_server_id: row.remote_server_id,
            task_label: row.task_label,
            encryption_mode: row.encryption_mode,
            has_warnings: row.has_warnings,
            original_size: row.original_size,
            stored_size: row.stored_size,
            nfiles: row.nfiles,
            held: row.held,
            recycled_at: time::utc_or_null(row.recycled_at),
            created_at: time::utc(row.created_at),
            copies: copies.into_iter().map(Into::into).collect(),
            streams: None,
        }
    }

    /// Shown alone.
    #[must_use]
    pub fn whole(row: rows::backups::Model, parts: BackupParts) -> Self {
        let streams = parts.streams.into_iter().map(Into::into).collect();
        Self { streams: Some(streams), ..Self::of(row, parts.copies) }
    }
}

/// Entries of a backup directly below a folder.
#[derive(Serialize, serde::Deserialize, ToSchema)]
pub struct ListingView {
    /// This part.
    pub entries: Vec<FileView>,
    /// All entries of the folder.
    pub total: u64,
    /// Entries skipped.
    pub offset: u64,
    /// In which stream.
    pub stream: String,
}

/// One entry.
#[derive(Serialize, serde::Deserialize, ToSchema)]
pub struct FileView {
    /// Its name in the folder.
    pub name: String,
    /// As it was on the source.
    pub path: String,
    /// `file`, `folder`, `symlink` …
    #[serde(rename = "type")]
    #[schema(value_type = String)]
    pub kind: serde_json::Value,
    /// Bytes.
    pub size: u64,
    /// When it was last changed.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub mtime: serde_json::Value,
    /// Mode bits.
    #[schema(value_type = Option<u32>)]
    pub mode: serde_json::Value,
    /// Owner.
    #[schema(value_type = Option<u64>)]
    pub uid: serde_json::Value,
    /// Group.
    #[schema(value_type = Option<u64>)]
    pub gid: serde_json::Value,
    /// Where a link points.
    #[schema(value_type = Option<String>)]
    pub link: serde_json::Value,
    /// A folder that has no entry of its own.
    #[serde(default)]
    pub is_implied: bool,
}

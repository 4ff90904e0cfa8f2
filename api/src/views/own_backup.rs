//! A copy of the product's own database.

use super::time;
use holdfast_store::rows;
use serde::Serialize;
use utoipa::ToSchema;

/// A copy of the product's own database, with its key, encrypted to `recipients`.
#[derive(Serialize, ToSchema)]
pub struct OwnBackupView {
    id: i64,
    backup_destination_id: i64,
    /// age public keys; whoever holds one of their halves opens the file.
    recipients: Vec<String>,
    /// Its name at the destination.
    object_name: String,
    /// `queued`, `running`, `succeeded`, `failed`.
    status: String,
    #[schema(required)]
    size_bytes: Option<i64>,
    /// Of the file as it is stored and downloaded.
    #[schema(required)]
    sha256: Option<String>,
    #[schema(required)]
    error_code: Option<String>,
    #[schema(required)]
    error_message: Option<String>,
    created_at: String,
    #[schema(required)]
    started_at: Option<String>,
    #[schema(required)]
    completed_at: Option<String>,
    /// The worker that has or had it.
    #[schema(required)]
    worker: Option<String>,
}

impl OwnBackupView {
    /// The view of `row`.
    #[must_use]
    pub fn of(row: rows::own_backups::Model) -> Self {
        Self {
            id: row.id,
            backup_destination_id: row.backup_destination_id,
            recipients: row.recipients,
            object_name: row.object_name,
            status: row.status,
            size_bytes: row.size_bytes,
            sha256: row.sha256,
            error_code: row.error_code,
            error_message: row.error_message,
            created_at: time::utc(row.created_at),
            started_at: time::utc_or_null(row.started_at),
            completed_at: time::utc_or_null(row.completed_at),
            worker: row.owner,
        }
    }
}

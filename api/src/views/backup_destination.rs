//! A destination.

use super::time;
pub use holdfast_domain::destination::DestinationConfig;
use holdfast_domain::destination::DestinationKind;
use holdfast_store::rows;
use serde::Serialize;
use utoipa::ToSchema;

/// Where bytes go. The S3 keys are absent, not null, for `local`.
#[derive(Serialize, ToSchema)]
pub struct BackupDestinationView {
    id: i64,
    user_id: i64,
    label: String,
    /// `local`, `s3`, `custom_s3`, `digitalocean_spaces`.
    #[serde(rename = "type")]
    kind: String,
    type_human: &'static str,
    created_at: String,
    updated_at: String,
    limits: DestinationLimitsView,
    #[serde(flatten)]
    s3: Option<S3View>,
}

/// How much of a destination may be used.
#[derive(Serialize, ToSchema)]
struct DestinationLimitsView {
    /// Runs that may write to it at the same time; null: any number.
    #[schema(required)]
    runs_at_once: Option<i32>,
}

#[derive(Serialize, ToSchema)]
struct S3View {
    s3_bucket_name: Option<String>,
    path_style_endpoint: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    s3_region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    s3_endpoint: Option<String>,
    /// Whether both keys are stored; they are never shown.
    has_credentials: bool,
}

/// What lies at a destination, and what room there is.
#[derive(Serialize, ToSchema)]
pub struct UsageView {
    /// Backups with a copy there.
    pub backups: i64,
    /// What their objects take, by record.
    pub stored_bytes: i64,
    /// The whole room; null where the store does not say.
    pub total_bytes: Option<u64>,
    /// Room that is left; null where the store does not say.
    pub available_bytes: Option<u64>,
}

impl BackupDestinationView {
    /// The view of `row`.
    #[must_use]
    pub fn of(row: rows::backup_destinations::Model) -> Self {
        let config: DestinationConfig = serde_json::from_value(row.config).unwrap_or_default();
        let has_credentials = row.sealed_access_key.is_some() && row.sealed_secret_key.is_some();
        let s3 = (row.r#type != "local").then(|| S3View {
            s3_bucket_name: config.bucket,
            path_style_endpoint: config.path_style,
            s3_region: config.region.filter(|_| row.r#type == "s3"),
            s3_endpoint: config.endpoint.filter(|_| row.r#type == "custom_s3"),
            has_credentials,
        });
        Self {
            id: row.id,
            user_id: row.user_id,
            label: row.label,
            type_human: DestinationKind::parse(&row.r#type).map_or("", DestinationKind::human),
            kind: row.r#type,
            created_at: time::utc(row.created_at),
            updated_at: time::utc(row.updated_at),
            limits: DestinationLimitsView { runs_at_once: row.runs_at_once },
            s3,
        }
    }
}

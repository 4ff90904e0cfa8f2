//! From a destination's row to the thing that takes bytes. Another type than those here is refused, never guessed, and no
//! keys are used but those that the row carries.

use crate::context::WorkerContext;
use crate::secrets;
use holdfast_destinations::{Destination, LocalDestination, Pace, S3Destination, S3Settings, unsupported};
use holdfast_domain::destination::DestinationKind;
use holdfast_domain::ids::BackupDestinationId;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_store::rows;
use std::sync::Arc;
use uuid::Uuid;

/// Opens a destination of the team with `team_uuid`. Nothing is sent or read yet.
///
/// # Errors
/// `destination_unsupported` for a type that takes no backups; `store_offline` where this worker does not hold the store:
/// what lies there must not be taken for deleted; `secret_unavailable`, `invalid_config`.
pub fn open_destination(
    context: &WorkerContext,
    team_uuid: Uuid,
    row: &rows::backup_destinations::Model,
) -> Result<Arc<dyn Destination>, Failure> {
    match DestinationKind::parse(&row.r#type) {
        Some(DestinationKind::Local) => open_local(context, team_uuid, row),
        Some(kind) => open_s3(context, kind, row),
        None => Err(unsupported(&row.r#type)),
    }
}

fn open_local(
    context: &WorkerContext,
    team_uuid: Uuid,
    row: &rows::backup_destinations::Model,
) -> Result<Arc<dyn Destination>, Failure> {
    let offline = |why: &str| Failure::new(Step::Prepare, FailureCode::StoreOffline, why);
    let root = context.local_root.as_ref().ok_or_else(|| offline("This worker holds no local store."))?;
    if row.store_id.as_ref().is_some_and(|id| *id != root.store_id().to_string()) {
        return Err(offline("This worker holds another local store than the destination's."));
    }
    Ok(Arc::new(LocalDestination::new(root.clone(), team_uuid, BackupDestinationId(row.id))))
}

fn open_s3(
    context: &WorkerContext,
    kind: DestinationKind,
    row: &rows::backup_destinations::Model,
) -> Result<Arc<dyn Destination>, Failure> {
    let config = serde_json::from_value(row.config.clone()).map_err(|_| {
        Failure::new(Step::Prepare, FailureCode::InvalidConfig, "The destination's settings cannot be read.")
    })?;
    let (access_key, secret_key) = secrets::destination_keys(context, row)?;
    // A folder of its own: two destinations on one bucket, however it is reached, never share an object.
    let folder = format!("holdfast/{}/", row.id);
    let settings = S3Settings { kind, config, access_key, secret_key, folder };
    Ok(Arc::new(S3Destination::new(settings, context.outside.clone(), Pace::default())?))
}

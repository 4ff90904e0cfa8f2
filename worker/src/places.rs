//! From a destination's row to the thing that takes bytes. Another type than those here is refused, never guessed.

use crate::context::WorkerContext;
use holdfast_destinations::{Destination, LocalDestination, unsupported};
use holdfast_domain::ids::BackupDestinationId;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_store::rows;
use std::sync::Arc;
use uuid::Uuid;

/// Opens a destination of the team with `team_uuid`.
///
/// # Errors
/// `destination_unsupported` for a type that takes no backups yet; `store_offline` where this worker does not hold the
/// store: what lies there must not be taken for deleted.
pub fn open_destination(
    context: &WorkerContext,
    team_uuid: Uuid,
    row: &rows::backup_destinations::Model,
) -> Result<Arc<dyn Destination>, Failure> {
    if row.r#type != "local" {
        return Err(unsupported(&row.r#type));
    }
    let offline = |why: &str| Failure::new(Step::Prepare, FailureCode::StoreOffline, why);
    let root = context.local_root.as_ref().ok_or_else(|| offline("This worker holds no local store."))?;
    if row.store_id.as_ref().is_some_and(|id| *id != root.store_id().to_string()) {
        return Err(offline("This worker holds another local store than the destination's."));
    }
    Ok(Arc::new(LocalDestination::new(root.clone(), team_uuid, BackupDestinationId(row.id))))
}

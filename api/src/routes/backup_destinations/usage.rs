//! `GET /api/backup-destinations/{id}/usage`

use crate::extract::id::found;
use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::routes::checks::ask;
use crate::state::ApiState;
use crate::views::backup_destination::UsageView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::BackupDestinationId;
use holdfast_domain::ticket::TicketAction;
use serde::Deserialize;

/// What a worker answers.
#[derive(Deserialize)]
struct Room {
    total_bytes: Option<u64>,
    available_bytes: Option<u64>,
}

/// What lies at a destination, by record, and how much room its store says that it has.
#[utoipa::path(get, path = "/api/backup-destinations/{id}/usage", tag = "backup-destinations", params(("id" = u64, Path)),
    responses((status = 200, body = Data<UsageView>), (status = 502, body = crate::problem::ProblemBody),
        (status = 503, body = crate::problem::ProblemBody)))]
pub async fn show_backup_destination_usage(
    State(state): State<ApiState>,
    auth: Authorized<may::ViewBackupDestinations>,
    Id(id): Id<BackupDestinationId>,
) -> Result<Json<Data<UsageView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    found::<BackupDestinationId, _>(tx.backup_destinations().find(id).await?)?;
    let (backups, stored_bytes) = tx.backup_destinations().held(id).await?;
    // A connection to the database is not held while a worker talks to a destination.
    drop(tx);
    let room: Room = ask(&state, &auth.access, TicketAction::BackupDestinationUsage { id }).await?;
    let Room { total_bytes, available_bytes } = room;
    Ok(data(UsageView { backups, stored_bytes, total_bytes, available_bytes }))
}

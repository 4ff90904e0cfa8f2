//! `POST /api/system/backups/{id}/restore`
//!
//! Never restores: the database cannot be replaced under the processes that answer from it, and the key that opens the
//! copy belongs on no machine of Holdfast. It says what to run (docs/decisions/0008).

use crate::extract::id::found;
use crate::extract::{Authorized, Id, may};
use crate::problem::Problem;
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::OwnBackupId;

/// Always refuses, with the commands that restore this copy.
#[utoipa::path(post, path = "/api/system/backups/{id}/restore", tag = "system", params(("id" = u64, Path)),
    responses((status = 409, body = crate::problem::ProblemBody)))]
pub async fn restore_own_backup(
    State(state): State<ApiState>,
    auth: Authorized<may::ManageOwnBackups>,
    Id(id): Id<OwnBackupId>,
) -> Result<Json<()>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let row = found::<OwnBackupId, _>(tx.own_backups().find(id).await?)?;
    let Some(sha256) = row.sha256 else {
        return Err(Problem::conflict(
            "not_there",
            format!("There is nothing to restore: this copy is {}.", row.status),
        ));
    };
    Err(Problem::conflict(
        "restore_offline",
        format!(
            "A running installation is not replaced under its own feet. Download the copy (GET \
             /api/system/backups/{id}/download; its SHA-256 is {sha256}), end every process of the old installation, then \
             run: holdfast admin restore --from FILE --identity AGE_KEY_FILE --data-dir NEW_FOLDER (or with DATABASE_URL \
             of an empty database and HOLDFAST__VAULT__KEK_FILE), and start with `holdfast up --data-dir NEW_FOLDER`."
        ),
    ))
}

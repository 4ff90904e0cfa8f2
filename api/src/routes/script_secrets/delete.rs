//! `DELETE /api/script-secrets/{id}`

use super::SECRETS;
use crate::audit::secrets;
use crate::extract::id::found;
use crate::extract::{Authorized, Deletion, Id, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::Message;
use crate::views::script_secret::ScriptSecretView;
use axum::extract::State;
use axum::response::Response;
use holdfast_domain::ids::ScriptSecretId;
use holdfast_store::Changes;
use serde_json::json;

/// Deletes a secret that no script and no task names.
#[utoipa::path(delete, path = "/api/script-secrets/{id}", tag = "scripts", params(("id" = u64, Path)),
    responses((status = 200, body = Message), (status = 204, description = "As 200, to a client that sends no `Accept`."),
         (status = 409, body = crate::problem::ProblemBody)))]
pub async fn delete_script_secret(
    State(state): State<ApiState>,
    auth: Authorized<may::ManageScripts>,
    Id(id): Id<ScriptSecretId>,
    deletion: Deletion,
) -> Result<Response, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let row = found::<ScriptSecretId, _>(tx.script_secrets().find_for_update(id).await?)?;
    let uses = tx.script_secrets().uses(&row.name).await?;
    if uses.scripts + uses.backup_tasks > 0 {
        let message = format!(
            "The script secret is named by {} script(s) and {} backup task(s). Take it out of them first.",
            uses.scripts, uses.backup_tasks
        );
        return Err(Problem::in_use(message, json!({"scripts": uses.scripts, "backup_tasks": uses.backup_tasks})));
    }
    let changes = Changes::removed(&ScriptSecretView::of(row.clone()));
    let changes = secrets(changes, Some(&row), None, SECRETS);
    tx.script_secrets().delete(row).await?;
    tx.audit_events()
        .record_change("script_secret.delete", &format!("script_secrets:{id}"), changes, json!({}))
        .await?;
    tx.commit().await?;
    Ok(deletion.answer(Message { message: "Script secret successfully deleted".to_owned() }))
}

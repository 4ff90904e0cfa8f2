//! `DELETE /api/scripts/{id}`

use crate::extract::id::found;
use crate::extract::{Authorized, Deletion, Id, may};
use crate::problem::Problem;
use crate::routes::cascade::Cascade;
use crate::state::ApiState;
use crate::views::Message;
use crate::views::script::ScriptView;
use axum::extract::State;
use axum::response::Response;
use holdfast_domain::ids::ScriptId;
use holdfast_store::Changes;
use serde_json::json;

/// Deletes a script that no task has; with `cascade=1` and the ability `cascade-delete`, takes it off its tasks.
#[utoipa::path(delete, path = "/api/scripts/{id}", tag = "scripts",
    params(("id" = u64, Path), ("cascade" = Option<u8>, Query, description = "1: take it off the tasks that have it")),
    responses((status = 200, body = Message), (status = 204, description = "As 200, to a client that sends no `Accept`."),
         (status = 409, body = crate::problem::ProblemBody)))]
pub async fn delete_script(
    State(state): State<ApiState>,
    auth: Authorized<may::ManageScripts>,
    Id(id): Id<ScriptId>,
    cascade: Cascade,
    deletion: Deletion,
) -> Result<Response, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let row = found::<ScriptId, _>(tx.scripts().find_for_update(id).await?)?;
    let tasks = tx.task_scripts().tasks_with(id).await?;
    cascade.permits_taking_off(&auth.access, "script", tasks.len())?;
    let changes = Changes::removed(&ScriptView::of(row.clone()).audited());
    tx.scripts().delete(row).await?;
    let details = json!({"backup_tasks": tasks});
    tx.audit_events().record_change("script.delete", &format!("scripts:{id}"), changes, details).await?;
    tx.commit().await?;
    Ok(deletion.answer(Message { message: "Script successfully deleted".to_owned() }))
}

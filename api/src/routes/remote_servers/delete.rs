//! `DELETE /api/remote-servers/{id}`

use super::secrets;
use crate::extract::id::found;
use crate::extract::{Authorized, Deletion, Id, may};
use crate::problem::Problem;
use crate::routes::cascade::{Cascade, delete_tasks};
use crate::routes::ssh_key::show::authorized_keys_line;
use crate::state::ApiState;
use crate::views::remote_server::RemoteServerView;
use axum::extract::State;
use axum::response::Response;
use holdfast_domain::ids::RemoteServerId;
use holdfast_store::Changes;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

/// The server is gone here.
#[derive(Serialize, ToSchema)]
pub struct ServerDeleted {
    message: &'static str,
    /// The line to take out of the user's `authorized_keys` there: nothing was connected to remove it.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_left_behind: Option<String>,
}

/// Deletes a server that no task uses and no other server is reached through; with `cascade=1` and the ability `cascade-delete`, its tasks too. Backups stay.
#[utoipa::path(delete, path = "/api/remote-servers/{id}", tag = "remote-servers",
    params(("id" = u64, Path), ("cascade" = Option<u8>, Query, description = "1: delete the tasks that use it too")),
    responses((status = 200, body = ServerDeleted), (status = 204, description = "As 200, to a client that sends no `Accept`."),
         (status = 409, body = crate::problem::ProblemBody)))]
pub async fn delete_remote_server(
    State(state): State<ApiState>,
    auth: Authorized<may::DeleteRemoteServers>,
    Id(id): Id<RemoteServerId>,
    cascade: Cascade,
    deletion: Deletion,
) -> Result<Response, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let mut row = found::<RemoteServerId, _>(tx.remote_servers().find_for_update(id).await?)?;
    let behind = tx.remote_servers().count_behind(id).await?;
    if behind > 0 {
        let message = format!(
            "The remote server is a jump host of {behind} other server(s). Take it out of their `jump` first, or delete \
             them."
        );
        return Err(Problem::in_use(message, json!({"remote_servers": behind})));
    }
    let tasks = tx.remote_servers().tasks_using(id).await?;
    cascade.permits(&auth.access, "remote server", tasks.len())?;
    let changes = Changes::removed(&RemoteServerView::of(row.clone()));
    let now = state.now();
    let deleted = tasks.len();
    delete_tasks(&tx, tasks, now).await?;
    let key_left_behind = match row.auth_method.as_str() {
        "team_key" => tx.team_keys().newest("ssh").await?.map(|key| authorized_keys_line(&key.public)),
        _ => None,
    };
    let had = row.clone();
    row.deleted_at = Some(now);
    row.updated_at = now;
    // The secrets of a server that is gone serve nobody.
    row.sealed_password = None;
    row.sealed_private_key = None;
    row.sealed_database_password = None;
    let row = tx.remote_servers().save(row).await?;
    let changes = secrets(changes, Some(&had), Some(&row));
    tx.backup_tasks().forget_log_ins(id).await?;
    tx.audit_events()
        .record_change("remote_server.delete", &format!("remote_servers:{id}"), changes, json!({"tasks": deleted}))
        .await?;
    tx.commit().await?;
    Ok(deletion.answer(ServerDeleted { message: "Remote server successfully deleted", key_left_behind }))
}

//! The data plane: the internal HTTP listener through which the api has a worker do what the api may not: connect to an
//! address that a tenant chose, or read a backup. It serves nobody without a ticket, does exactly what the ticket says,
//! and gives no byte of a copy that it did not check. It must never follow a request's own words for what to do.

mod backup_destination_usage;
mod check_answer;
mod check_backup_destination;
mod check_remote_server;
mod download;
mod list_databases;
mod list_files;
mod own_backup;
mod range;
mod refusal;
mod serve;
mod stored_body;
mod test_notification_stream;
mod test_script;

pub(crate) use check_backup_destination::try_destination;
pub(crate) use check_remote_server::quick;
pub use serve::serve;

use crate::context::WorkerContext;
use crate::database_login::Named;
use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use holdfast_domain::ticket::{DATA_PLANE_PATH, TICKET_HEADER, TicketAction};
use holdfast_store::Access;
use holdfast_store::repositories::tickets::UsedTicket;
use holdfast_vault::ticket::TicketSecret;
use refusal::Refusal;
use std::sync::Arc;

/// The one route: what it does stands in the ticket.
pub fn router(context: Arc<WorkerContext>) -> Router {
    Router::new().route(DATA_PLANE_PATH, post(act)).with_state(context)
}

async fn act(State(context): State<Arc<WorkerContext>>, headers: HeaderMap) -> Response {
    let ticket = match redeem(&context, &headers).await {
        Ok(ticket) => ticket,
        Err(refusal) => return refusal.into_response(),
    };
    let access = Access::system(ticket.team_id, "data plane: a ticket's action");
    let answer = match ticket.action {
        TicketAction::CheckRemoteServer { id } => check_remote_server::check_remote_server(&context, &access, id).await,
        TicketAction::CheckBackupDestination { id } => {
            check_backup_destination::check_backup_destination(&context, &access, id).await
        }
        TicketAction::BackupDestinationUsage { id } => {
            backup_destination_usage::backup_destination_usage(&context, &access, id).await
        }
        TicketAction::TestNotificationStream { id } => {
            test_notification_stream::test_notification_stream(&context, &access, id).await
        }
        TicketAction::TestScript { id, remote_server_id, parameters } => {
            test_script::test_script(context, access, (id, remote_server_id), parameters).await
        }
        TicketAction::ListDatabases { id, engine, host, port, username } => {
            let named = Named { host, port, username };
            list_databases::list_databases(&context, &access, id, (engine, named)).await
        }
        TicketAction::ListFiles { id, stream, path, offset, limit } => {
            let page = list_files::Page { stream, path, offset, limit };
            list_files::list_files(&context, &access, id, &page).await
        }
        TicketAction::Download { id, stream, form } => {
            let part = download::Wanted { stream, form, headers: &headers };
            download::download(&context, &access, id, &part).await
        }
        TicketAction::DownloadOwnBackup { id, .. } => own_backup::download(&context, &access, id, &headers).await,
        TicketAction::DeleteOwnBackup { id, .. } => own_backup::delete(&context, &access, id).await,
    };
    answer.unwrap_or_else(IntoResponse::into_response)
}

/// Uses the request's ticket up. A wrong, a used and an expired one get the same answer.
async fn redeem(context: &WorkerContext, headers: &HeaderMap) -> Result<UsedTicket, Refusal> {
    let secret = headers
        .get(TICKET_HEADER)
        .and_then(|value| value.to_str().ok())
        .and_then(TicketSecret::parse)
        .ok_or_else(Refusal::no_ticket)?;
    context.store.use_ticket(&secret.hash()).await?.ok_or_else(Refusal::no_ticket)
}

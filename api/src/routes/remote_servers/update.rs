//! `PUT /api/remote-servers/{id}`
//!
//! A stored secret and a pinned host key belong to the peer they were given for. Whoever may change a server but not
//! read its secrets must not get them by pointing the server at a host of their own.

use super::jump_hosts::Way;
use super::{Body, secrets, taken};
use crate::extract::id::found;
use crate::extract::{Authorized, Id, PageBody, may};
use crate::problem::{FieldErrors, Problem};
use crate::routes::at_once::AtOnceBody;
use crate::sealing::RowSeal;
use crate::state::ApiState;
use crate::validation::{Mode, texts};
use crate::views::remote_server::RemoteServerView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::{RemoteServerId, TeamId};
use holdfast_store::{Changes, TeamTx, rows};
use holdfast_vault::SealedColumn;
use serde_json::json;

/// Changes what is sent. Another host, port, user or way (`jump`) needs every stored secret again (422 without) and drops the pinned
/// host key.
#[utoipa::path(put, path = "/api/remote-servers/{id}", tag = "remote-servers", params(("id" = u64, Path)),
    request_body(content((Body = "application/json"), (Body = "application/x-www-form-urlencoded"))),
    responses((status = 200, body = Data<RemoteServerView>), (status = 422, body = crate::problem::ProblemBody)))]
pub async fn update_remote_server(
    State(state): State<ApiState>,
    auth: Authorized<may::UpdateRemoteServers>,
    Id(id): Id<RemoteServerId>,
    PageBody(fields): PageBody,
) -> Result<Json<Data<RemoteServerView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let row = found::<RemoteServerId, _>(tx.remote_servers().find_for_update(id).await?)?;
    let mut fields = fields.in_mode(Mode::Update);
    let body = Body::read(&mut fields);
    let clears_database_password = fields.is_null("database_password");
    fields.finish()?;
    let change = Change { clears_database_password, ..Change::of(&row, body) };
    let way = Way {
        transport: change.body.transport.as_ref().unwrap_or(&row.transport),
        auth_method: &change.auth_method,
        jump: change.body.jump.as_ref().unwrap_or(&row.jump_ids),
        own: Some(id),
    };
    way.check(&tx).await?;
    change.refuse_strangers(&tx, &row).await?;
    let before = row.clone();
    let row = change.apply(row, &state).await?;
    let row = tx.remote_servers().save(row).await.map_err(taken)?;
    let subject = format!("remote_servers:{}", row.id);
    let view = RemoteServerView::of(row.clone());
    let changes = Changes::between(&RemoteServerView::of(before.clone()), &view);
    let changes = secrets(changes, Some(&before), Some(&row));
    tx.audit_events().record_change("remote_server.update", &subject, changes, json!({})).await?;
    tx.commit().await?;
    Ok(data(view))
}

struct Change {
    body: Body,
    is_other_peer: bool,
    auth_method: String,
    clears_database_password: bool,
}

impl Change {
    fn of(row: &rows::remote_servers::Model, body: Body) -> Self {
        let is_other_peer = body.ip_address.as_ref().is_some_and(|host| *host != row.host)
            || body.port.is_some_and(|port| port != i64::from(row.port))
            || body.username.as_ref().is_some_and(|name| *name != row.username)
            // The same address seen from another host is another server.
            || body.jump.as_ref().is_some_and(|jump| *jump != row.jump_ids);
        let auth_method = body.auth_method.clone().unwrap_or_else(|| row.auth_method.clone());
        Self { body, is_other_peer, auth_method, clears_database_password: false }
    }

    /// 422 where a stored secret would go to another peer, or a method would be left without its secret.
    async fn refuse_strangers(&self, tx: &TeamTx, row: &rows::remote_servers::Model) -> Result<(), Problem> {
        let mut errors = FieldErrors::default();
        let again = |field: &str| {
            format!(
                "The {} field must be entered again when host, port, user or jump hosts change.",
                texts::attribute(field)
            )
        };
        for (method, is_stored, is_sent) in [
            ("password", row.sealed_password.is_some(), self.body.password.is_some()),
            ("private_key", row.sealed_private_key.is_some(), self.body.private_key.is_some()),
        ] {
            let is_used = self.auth_method == method;
            if is_used && is_stored && self.is_other_peer && !is_sent {
                errors.push(method, again(method));
            } else if is_used && !is_stored && !is_sent {
                errors.push(method, texts::required_when(method, "auth_method", method));
            }
        }
        let keeps_database_password = row.sealed_database_password.is_some()
            && self.body.database_password.is_none()
            && !self.clears_database_password;
        if self.is_other_peer && keeps_database_password {
            errors.push("database_password", again("database_password"));
        }
        if self.is_other_peer && tasks_with_secrets(tx, RemoteServerId(row.id)).await? {
            let text = "Tasks of this server have passwords of their own, which must not reach another host: change or \
                        delete those tasks first.";
            errors.push("ip_address", text.to_owned());
        }
        if errors.is_empty() { Ok(()) } else { Err(Problem::validation(errors)) }
    }

    /// The row with the change; sealed anew where a secret was sent.
    async fn apply(
        self,
        mut row: rows::remote_servers::Model,
        state: &ApiState,
    ) -> Result<rows::remote_servers::Model, Problem> {
        let mut seal = RowSeal::new(state, TeamId(row.team_id), row.seal_id);
        let now = state.now();
        if self.is_other_peer {
            row.pinned_host_key = None;
            row.pinned_at = None;
            row.pending_host_key = None;
            row.connectivity = "unknown".to_owned();
        }
        if let Some(password) = self.body.password.as_deref().filter(|_| self.auth_method == "password") {
            row.sealed_password = seal.seal(SealedColumn::ServerPassword, Some(password)).await?;
        }
        if let Some(key) = self.body.private_key.as_deref().filter(|_| self.auth_method == "private_key") {
            row.sealed_private_key = seal.seal(SealedColumn::ServerPrivateKey, Some(key)).await?;
        }
        if self.auth_method != "password" {
            row.sealed_password = None;
        }
        if self.auth_method != "private_key" {
            row.sealed_private_key = None;
        }
        if self.clears_database_password {
            row.sealed_database_password = None;
        } else if let Some(password) = self.body.database_password.as_deref() {
            row.sealed_database_password = seal.seal(SealedColumn::ServerDatabasePassword, Some(password)).await?;
        }
        if let Some(key) = self.body.host_key {
            row.pinned_at = Some(now);
            row.pinned_host_key = Some(key);
            row.pending_host_key = None;
        }
        row.runs_at_once = AtOnceBody::runs(self.body.limits.as_ref(), Some(row.runs_at_once)).unwrap_or(1);
        row.port = self.body.port.and_then(|port| i32::try_from(port).ok()).unwrap_or(row.port);
        row.label = self.body.label.unwrap_or(row.label);
        row.transport = self.body.transport.unwrap_or(row.transport);
        row.jump_ids = self.body.jump.unwrap_or(row.jump_ids);
        row.host = self.body.ip_address.unwrap_or(row.host);
        row.username = self.body.username.unwrap_or(row.username);
        row.auth_method = self.auth_method;
        row.updated_at = now;
        Ok(row)
    }
}

/// Whether a task of the server has a log-in or database password: it was given for this host.
async fn tasks_with_secrets(tx: &TeamTx, id: RemoteServerId) -> Result<bool, Problem> {
    let tasks = tx.remote_servers().tasks_using(id).await?;
    Ok(tasks.iter().any(|task| task.sealed_isolated_password.is_some() || task.sealed_source_password.is_some()))
}

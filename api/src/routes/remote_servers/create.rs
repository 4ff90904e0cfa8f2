//! `POST /api/remote-servers`

use super::jump_hosts::Way;
use super::{Body, secrets, taken};
use crate::extract::{Authorized, PageBody, may};
use crate::limits;
use crate::problem::Problem;
use crate::routes::at_once::AtOnceBody;
use crate::sealing::RowSeal;
use crate::state::ApiState;
use crate::views::remote_server::RemoteServerView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use holdfast_domain::Limit;
use holdfast_store::Changes;
use holdfast_store::repositories::remote_servers::NewRemoteServer;
use holdfast_vault::SealedColumn;
use serde_json::json;

/// Registers a server. Nothing is connected yet; `check` does that.
#[utoipa::path(post, path = "/api/remote-servers", tag = "remote-servers",
    request_body(content((Body = "application/json"), (Body = "application/x-www-form-urlencoded"))),
    responses((status = 201, body = Data<RemoteServerView>), (status = 422, body = crate::problem::ProblemBody)))]
pub async fn create_remote_server(
    State(state): State<ApiState>,
    auth: Authorized<may::CreateRemoteServers>,
    PageBody(mut fields): PageBody,
) -> Result<(StatusCode, Json<Data<RemoteServerView>>), Problem> {
    let body = Body::read(&mut fields);
    let port = body.port();
    fields.finish()?;
    let mut seal = RowSeal::fresh(&state, auth.access.team_id());
    let auth_method = body.auth_method.unwrap_or_else(|| {
        // A known secret without a method: the method is plain.
        match (&body.password, &body.private_key) {
            (_, Some(_)) => "private_key",
            (Some(_), None) => "password",
            (None, None) => "team_key",
        }
        .to_owned()
    });
    // A secret of a method that was not chosen is not kept.
    let password = body.password.as_deref().filter(|_| auth_method == "password");
    let private_key = body.private_key.as_deref().filter(|_| auth_method == "private_key");
    let database_password = body.database_password.as_deref();
    let new = NewRemoteServer {
        user_id: auth.user_id,
        label: body.label.unwrap_or_default(),
        host: body.ip_address.unwrap_or_default(),
        port: port.unwrap_or_default(),
        username: body.username.unwrap_or_default(),
        seal_id: seal.seal_id(),
        sealed_password: seal.seal(SealedColumn::ServerPassword, password).await?,
        sealed_private_key: seal.seal(SealedColumn::ServerPrivateKey, private_key).await?,
        sealed_database_password: seal.seal(SealedColumn::ServerDatabasePassword, database_password).await?,
        auth_method,
        transport: body.transport.unwrap_or_else(|| "russh".to_owned()),
        jump_ids: body.jump.unwrap_or_default(),
        pinned_host_key: body.host_key,
        runs_at_once: AtOnceBody::runs(body.limits.as_ref(), None).unwrap_or(1),
    };
    let tx = state.store().for_team(&auth.access).await?;
    let way = Way { transport: &new.transport, auth_method: &new.auth_method, jump: &new.jump_ids, own: None };
    way.check(&tx).await?;
    limits::take(&state, &tx, Limit::RemoteServers).await?;
    let row = tx.remote_servers().create(new, state.now()).await.map_err(taken)?;
    let subject = format!("remote_servers:{}", row.id);
    let view = RemoteServerView::of(row.clone());
    let changes = secrets(Changes::made(&view), None, Some(&row));
    tx.audit_events().record_change("remote_server.create", &subject, changes, json!({})).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, data(view)))
}

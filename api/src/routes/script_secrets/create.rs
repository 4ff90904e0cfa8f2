//! `POST /api/script-secrets`

use super::{Body, SECRETS};
use crate::audit::secrets;
use crate::extract::{Authorized, OurBody, may};
use crate::limits;
use crate::problem::Problem;
use crate::sealing::RowSeal;
use crate::state::ApiState;
use crate::views::script_secret::ScriptSecretView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use holdfast_domain::Limit;
use holdfast_store::repositories::script_secrets::NewScriptSecret;
use holdfast_store::{Changes, StoreError};
use holdfast_vault::SealedColumn;
use serde_json::json;

/// Keeps a value that scripts are given by its name: `{"secret_name": "…"}` in a parameter.
#[utoipa::path(post, path = "/api/script-secrets", tag = "scripts", request_body = Body,
    responses((status = 201, body = Data<ScriptSecretView>), (status = 409, body = crate::problem::ProblemBody),
        (status = 422, body = crate::problem::ProblemBody)))]
pub async fn create_script_secret(
    State(state): State<ApiState>,
    auth: Authorized<may::ManageScripts>,
    OurBody(mut fields): OurBody,
) -> Result<(StatusCode, Json<Data<ScriptSecretView>>), Problem> {
    let body = Body::read(&mut fields);
    fields.finish()?;
    let mut seal = RowSeal::fresh(&state, auth.access.team_id());
    let new = NewScriptSecret {
        user_id: auth.user_id,
        name: body.name.unwrap_or_default(),
        description: body.description,
        seal_id: seal.seal_id(),
        sealed_value: seal.seal(SealedColumn::ScriptSecretValue, body.value.as_deref()).await?.unwrap_or_default(),
    };
    let tx = state.store().for_team(&auth.access).await?;
    limits::take(&state, &tx, Limit::ScriptSecrets).await?;
    let row = tx.script_secrets().create(new, state.now()).await.map_err(|error| match error {
        StoreError::Duplicate(_) => Problem::field("name", "The name has already been taken."),
        other => other.into(),
    })?;
    let view = ScriptSecretView::of(row.clone());
    let changes = secrets(Changes::made(&view), None, Some(&row), SECRETS);
    let subject = format!("script_secrets:{}", row.id);
    tx.audit_events().record_change("script_secret.create", &subject, changes, json!({})).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, data(view)))
}

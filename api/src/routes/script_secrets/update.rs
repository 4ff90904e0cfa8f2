//! `PUT /api/script-secrets/{id}`

use super::{Body, SECRETS};
use crate::audit::secrets;
use crate::extract::id::found;
use crate::extract::{Authorized, Id, OurBody, may};
use crate::problem::Problem;
use crate::sealing::RowSeal;
use crate::state::ApiState;
use crate::validation::Mode;
use crate::views::script_secret::ScriptSecretView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::ScriptSecretId;
use holdfast_store::Changes;
use holdfast_vault::SealedColumn;
use serde_json::json;

/// Changes value or description; what is absent stays.
#[utoipa::path(put, path = "/api/script-secrets/{id}", tag = "scripts", params(("id" = u64, Path)), request_body = Body,
    responses((status = 200, body = Data<ScriptSecretView>), (status = 422, body = crate::problem::ProblemBody)))]
pub async fn update_script_secret(
    State(state): State<ApiState>,
    auth: Authorized<may::ManageScripts>,
    Id(id): Id<ScriptSecretId>,
    OurBody(fields): OurBody,
) -> Result<Json<Data<ScriptSecretView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let mut row = found::<ScriptSecretId, _>(tx.script_secrets().find_for_update(id).await?)?;
    let mut fields = fields.in_mode(Mode::Update);
    let body = Body::read(&mut fields);
    let sets_description = fields.sent("description");
    if body.name.as_ref().is_some_and(|name| *name != row.name) {
        fields.fail_invalid("name", &"it cannot be changed; make another secret");
    }
    fields.finish()?;
    let stored = row.clone();
    let mut seal = RowSeal::new(&state, auth.access.team_id(), row.seal_id);
    if let Some(sealed) = seal.seal(SealedColumn::ScriptSecretValue, body.value.as_deref()).await? {
        row.sealed_value = sealed;
    }
    if sets_description {
        row.description = body.description;
    }
    row.updated_at = state.now();
    let row = tx.script_secrets().save(row).await?;
    let view = ScriptSecretView::of(row.clone());
    let changes = Changes::between(&ScriptSecretView::of(stored.clone()), &view);
    let changes = secrets(changes, Some(&stored), Some(&row), SECRETS);
    tx.audit_events()
        .record_change("script_secret.update", &format!("script_secrets:{id}"), changes, json!({}))
        .await?;
    tx.commit().await?;
    Ok(data(view))
}

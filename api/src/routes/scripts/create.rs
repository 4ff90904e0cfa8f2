//! `POST /api/scripts`

use super::{Body, values};
use crate::extract::{Authorized, OurBody, may};
use crate::limits;
use crate::problem::{FieldErrors, Problem};
use crate::state::ApiState;
use crate::views::script::ScriptView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use holdfast_domain::Limit;
use holdfast_domain::script::{Interpreter, Preset, TIMEOUT_DEFAULT_SECS};
use holdfast_store::Changes;
use holdfast_store::repositories::scripts::NewScript;
use serde_json::json;

/// Makes a script: a text of one's own, or a preset. Nothing runs before a task has it.
#[utoipa::path(post, path = "/api/scripts", tag = "scripts", request_body = Body,
    responses((status = 201, body = Data<ScriptView>), (status = 409, body = crate::problem::ProblemBody),
        (status = 422, body = crate::problem::ProblemBody)))]
pub async fn create_script(
    State(state): State<ApiState>,
    auth: Authorized<may::ManageScripts>,
    OurBody(mut fields): OurBody,
) -> Result<(StatusCode, Json<Data<ScriptView>>), Problem> {
    let body = Body::read(&mut fields);
    fields.finish()?;
    let preset = body.preset.as_deref().and_then(Preset::parse);
    let parameters = preset.map(Preset::parameters).or_else(|| body.parameters()).unwrap_or_default();
    let tx = state.store().for_team(&auth.access).await?;
    limits::take(&state, &tx, Limit::Scripts).await?;
    let mut errors = FieldErrors::default();
    values::check_defaults(&tx, &parameters, &mut errors).await?;
    if !errors.is_empty() {
        return Err(Problem::validation(errors));
    }
    let own = body.interpreter.as_deref().and_then(Interpreter::parse).unwrap_or(Interpreter::Sh);
    let new = NewScript {
        user_id: auth.user_id,
        label: body.label.unwrap_or_default(),
        description: body.description,
        preset: body.preset,
        interpreter: preset.map_or(own, Preset::interpreter).as_str().to_owned(),
        body: body.body,
        timeout_secs: body.timeout_secs.and_then(|secs| i32::try_from(secs).ok()).unwrap_or(TIMEOUT_DEFAULT_SECS),
        parameters: json!(parameters),
    };
    let row = tx.scripts().create(new, state.now()).await?;
    let subject = format!("scripts:{}", row.id);
    let view = ScriptView::of(row);
    tx.audit_events().record_change("script.create", &subject, Changes::made(&view.audited()), json!({})).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, data(view)))
}

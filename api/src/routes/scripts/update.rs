//! `PUT /api/scripts/{id}`

use super::{Body, refuse_own_text, values};
use crate::extract::id::found;
use crate::extract::{Authorized, Id, OurBody, may};
use crate::problem::{FieldErrors, Problem};
use crate::state::ApiState;
use crate::validation::Mode;
use crate::views::script::ScriptView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use holdfast_domain::failure::printable;
use holdfast_domain::ids::ScriptId;
use holdfast_domain::script::{Parameter, resolve};
use holdfast_store::{Changes, TeamTx};
use serde_json::json;

/// Changes what is sent; what is absent stays. Parameters that do not fit what the tasks with this script give it are
/// refused. A run that goes on keeps the script as it was when the attempt began.
#[utoipa::path(put, path = "/api/scripts/{id}", tag = "scripts", params(("id" = u64, Path)), request_body = Body,
    responses((status = 200, body = Data<ScriptView>), (status = 422, body = crate::problem::ProblemBody)))]
pub async fn update_script(
    State(state): State<ApiState>,
    auth: Authorized<may::ManageScripts>,
    Id(id): Id<ScriptId>,
    OurBody(fields): OurBody,
) -> Result<Json<Data<ScriptView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let mut row = found::<ScriptId, _>(tx.scripts().find_for_update(id).await?)?;
    let mut fields = fields.in_mode(Mode::Update);
    let body = Body::read(&mut fields);
    let sets_description = fields.sent("description");
    if row.preset.is_some() {
        refuse_own_text(&mut fields);
    }
    fields.finish()?;
    let before = ScriptView::of(row.clone());
    if let Some(parameters) = body.parameters() {
        check_parameters(&tx, id, &parameters).await?;
        row.parameters = json!(parameters);
    }
    row.label = body.label.unwrap_or(row.label);
    if sets_description {
        row.description = body.description;
    }
    row.interpreter = body.interpreter.unwrap_or(row.interpreter);
    row.body = body.body.or(row.body);
    row.timeout_secs = body.timeout_secs.and_then(|secs| i32::try_from(secs).ok()).unwrap_or(row.timeout_secs);
    row.updated_at = state.now();
    let view = ScriptView::of(tx.scripts().save(row).await?);
    let changes = Changes::between(&before.audited(), &view.audited());
    tx.audit_events().record_change("script.update", &format!("scripts:{id}"), changes, json!({})).await?;
    tx.commit().await?;
    Ok(data(view))
}

/// 422 where a default names no secret, or a task would be left with values that do not fit.
async fn check_parameters(tx: &TeamTx, id: ScriptId, declared: &[Parameter]) -> Result<(), Problem> {
    let mut errors = FieldErrors::default();
    values::check_defaults(tx, declared, &mut errors).await?;
    for (task, given) in tx.task_scripts().values_for(id).await? {
        for problem in resolve(declared, &given).err().into_iter().flatten() {
            let problem = printable(&problem.to_string(), 200);
            errors.push("parameters", format!("Backup task {task} does not fit: {problem}."));
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Problem::validation(errors)) }
}

//! `scripts[…]` of a task: which of the team's scripts run before and after it, and how. The list replaces the whole.

use crate::extract::id::MAX_ID;
use crate::problem::{FieldErrors, Problem};
use crate::routes::scripts::values;
use crate::validation::{Fields, Presence, texts};
use crate::views::script::ParameterValueSchema;
use holdfast_domain::script::{OnFailure, PER_TASK_MAX, ParameterValues, Phase, RunOn, TIMEOUT_MAX_SECS};
use holdfast_store::TeamTx;
use holdfast_store::repositories::task_scripts::TaskScript;
use utoipa::ToSchema;

/// A script of a task as a client writes it.
#[derive(Clone, ToSchema)]
#[schema(as = TaskScriptBody)]
pub(crate) struct TaskScriptBody {
    /// One of the team's scripts.
    pub script_id: Option<i64>,
    /// `before`, `after`.
    pub phase: Option<String>,
    /// Of the phase `after`: `always` (as soon as the source was read or could not be), `success` (once the backup is
    /// recorded), `failure`; `always` without it.
    pub run_on: Option<String>,
    /// `abort` (the run fails; before alone), `warn`, `continue`; without it `abort` before and `warn` after.
    pub on_failure: Option<String>,
    /// Instead of the script's own; null = the script's own.
    pub timeout_secs: Option<i64>,
    /// Values by the names of the script's parameters: a text, or `{"secret_name": "…"}`.
    #[schema(value_type = Option<BTreeMap<String, ParameterValueSchema>>)]
    pub parameters: ParameterValues,
}

impl TaskScriptBody {
    /// Null is the empty list.
    pub(super) fn read(fields: &mut Fields) -> Option<Vec<Self>> {
        let is_none = fields.sent("scripts") && !fields.filled("scripts");
        fields.objects("scripts", Presence::Optional, PER_TASK_MAX, Self::read_one).or(is_none.then(Vec::new))
    }

    fn read_one(fields: &mut Fields) -> Self {
        let body = Self {
            script_id: fields.integer("script_id", Presence::Required),
            phase: fields.one_of("phase", Presence::Required, Phase::WORDS),
            run_on: fields.one_of("run_on", Presence::Optional, RunOn::WORDS),
            on_failure: fields.one_of("on_failure", Presence::Optional, OnFailure::WORDS),
            timeout_secs: fields.integer("timeout_secs", Presence::Optional),
            parameters: values::read(fields),
        };
        let is_before = body.phase.as_deref() == Some(Phase::Before.as_str());
        if is_before && body.run_on.as_deref().is_some_and(|word| word != RunOn::Always.as_str()) {
            fields.fail_invalid("run_on", &"what is before runs in any case");
        }
        if !is_before && body.on_failure.as_deref() == Some(OnFailure::Abort.as_str()) {
            fields.fail_invalid("on_failure", &"a backup that was made stays; choose warn or continue");
        }
        if body.timeout_secs.is_some_and(|secs| !(1..=TIMEOUT_MAX_SECS).contains(&secs)) {
            fields.fail_invalid("timeout_secs", &format!("it must be from 1 to {TIMEOUT_MAX_SECS}"));
        }
        body
    }

    /// The stored form of what was read without an error.
    fn stored(&self) -> Option<TaskScript> {
        let phase = Phase::parse(self.phase.as_deref()?)?;
        let usual = if phase == Phase::Before { OnFailure::Abort } else { OnFailure::Warn };
        Some(TaskScript {
            script_id: self.script_id?,
            phase,
            run_on: self.run_on.as_deref().and_then(RunOn::parse).unwrap_or(RunOn::Always),
            on_failure: self.on_failure.as_deref().and_then(OnFailure::parse).unwrap_or(usual),
            timeout_secs: self.timeout_secs.and_then(|secs| i32::try_from(secs).ok()),
            parameters: self.parameters.clone(),
        })
    }
}

/// The stored form of a list.
pub(super) fn stored(list: &[TaskScriptBody]) -> Vec<TaskScript> {
    list.iter().filter_map(TaskScriptBody::stored).collect()
}

/// Notes every id that is not the team's, and every value that does not fit its script.
pub(super) async fn check(tx: &TeamTx, list: &[TaskScriptBody], errors: &mut FieldErrors) -> Result<(), Problem> {
    let ids: Vec<i64> = list.iter().filter_map(|body| body.script_id).filter(|id| (1..=MAX_ID).contains(id)).collect();
    let scripts = if ids.is_empty() { Vec::new() } else { tx.scripts().of(&ids).await? };
    for (position, body) in list.iter().enumerate() {
        let prefix = format!("scripts.{position}.");
        match scripts.iter().find(|script| Some(script.id) == body.script_id) {
            Some(script) => values::check(tx, script, &body.parameters, (&prefix, errors)).await?,
            None => {
                let field = format!("{prefix}script_id");
                errors.push(&field, texts::selected(&field));
            }
        }
    }
    Ok(())
}

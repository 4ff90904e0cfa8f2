//! A script as a run has it: the definition of its moment, with the secrets it names still sealed.

use super::facts::Facts;
use crate::context::WorkerContext;
use crate::secrets;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holdfast_domain::script::{
    Interpreter, OnFailure, Parameter, ParameterValue, ParameterValues, Phase, Preset, RunOn, SERVICES, resolve,
    services,
};
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_store::repositories::task_scripts::TaskScript;
use holdfast_store::rows;
use secrecy::{ExposeSecret as _, SecretString};
use std::time::Duration;

/// A script at a task.
#[derive(Clone)]
pub struct Script {
    /// Its name on the page.
    pub label: String,
    /// On which side of the reading.
    pub phase: Phase,
    /// After what.
    pub run_on: RunOn,
    /// What its failure means.
    pub on_failure: OnFailure,
    /// How long it may take.
    pub timeout: Duration,
    /// What runs it.
    pub interpreter: Interpreter,
    body: String,
    values: ParameterValues,
    sealed: Vec<rows::script_secrets::Model>,
}

/// What goes to the server for one script.
pub struct Payload {
    /// Variables and text, as `script.sh` reads them.
    pub text: SecretString,
    /// The secrets in it, to be kept out of what the script says.
    pub secrets: Vec<SecretString>,
}

impl Script {
    /// The script `row` as `task` has it, with those of `secrets` that it names.
    ///
    /// # Errors
    /// `invalid_config` where its values do not fit any more, `secret_unavailable` where a secret is not there.
    pub fn of(
        task: &TaskScript,
        row: &rows::scripts::Model,
        secrets: &[rows::script_secrets::Model],
    ) -> Result<Self, Failure> {
        let invalid = |why: &str| {
            let detail = format!("The script {:?} cannot be run: {why}.", row.label);
            Failure::new(Step::Prepare, FailureCode::InvalidConfig, detail)
        };
        let preset = row.preset.as_deref().and_then(Preset::parse);
        let declared: Vec<Parameter> =
            serde_json::from_value(row.parameters.clone()).map_err(|error| invalid(&error.to_string()))?;
        let mut values = resolve(&declared, &task.parameters)
            .map_err(|problems| invalid(&problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))?;
        if preset.is_some() {
            let Some(ParameterValue::Text(names)) = values.get(SERVICES) else { return Err(invalid("no services")) };
            let names = services(names).map_err(invalid)?;
            values.insert(SERVICES.to_owned(), ParameterValue::Text(names));
        }
        let mut sealed = Vec::new();
        for name in values.values().filter_map(ParameterValue::secret) {
            let Some(secret) = secrets.iter().find(|secret| secret.name == name) else {
                let detail = format!("The script {:?} is given the secret {name:?}, which is not there.", row.label);
                return Err(Failure::new(Step::Prepare, FailureCode::SecretUnavailable, detail));
            };
            sealed.push(secret.clone());
        }
        let secs = task.timeout_secs.unwrap_or(row.timeout_secs);
        Ok(Self {
            label: row.label.clone(),
            phase: task.phase,
            run_on: task.run_on,
            on_failure: task.on_failure,
            timeout: Duration::from_secs(u64::try_from(secs).unwrap_or(1).max(1)),
            interpreter: preset
                .map(Preset::interpreter)
                .or_else(|| Interpreter::parse(&row.interpreter))
                .ok_or_else(|| invalid("its interpreter is not known"))?,
            body: preset
                .map(|preset| preset.body().to_owned())
                .or_else(|| row.body.clone())
                .ok_or_else(|| invalid("it has no text"))?,
            values,
            sealed,
        })
    }

    /// Opens its secrets and puts together what goes to the server.
    ///
    /// # Errors
    /// A secret does not open.
    pub(super) fn payload(&self, context: &WorkerContext, facts: &Facts) -> Result<Payload, Failure> {
        let mut text = String::new();
        let mut line = |kind: char, name: &str, value: &str| {
            text.push(kind);
            text.push(' ');
            text.push_str(name);
            text.push(' ');
            STANDARD.encode_string(value, &mut text);
            text.push('\n');
        };
        for (name, value) in facts.variables() {
            line('e', name, &value);
        }
        line('e', "HOLDFAST_SCRIPT", &self.label);
        let mut opened = Vec::new();
        for (name, value) in &self.values {
            match value {
                ParameterValue::Text(value) => line('e', name, value),
                ParameterValue::Secret { secret_name } => {
                    let row = self.sealed.iter().find(|row| row.name == *secret_name);
                    let row = row.ok_or_else(|| {
                        Failure::new(Step::Script, FailureCode::Internal, "A script's secret was not loaded.")
                    })?;
                    let value = secrets::script_secret(context, row)?;
                    line('s', name, value.expose_secret());
                    opened.push(value);
                }
            }
        }
        line('b', "-", &self.body);
        Ok(Payload { text: text.into(), secrets: opened })
    }
}

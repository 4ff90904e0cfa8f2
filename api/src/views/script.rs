//! A script. Nothing in it is secret: secrets are named, and their values have no view.

use super::time;
use holdfast_domain::script::{Parameter, ParameterValue, Preset};
use holdfast_store::rows;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

/// A command of the team's before or after a backup.
#[derive(Serialize, ToSchema)]
pub struct ScriptView {
    id: i64,
    user_id: i64,
    label: String,
    #[schema(required)]
    description: Option<String>,
    /// `stop_services`, `start_services`; null for a script with a text of its own.
    #[schema(required)]
    preset: Option<String>,
    /// `sh`, `bash`, `python3`.
    interpreter: String,
    /// Its text; of a preset what comes with the product.
    #[schema(example = "systemctl reload nginx")]
    body: String,
    timeout_secs: i32,
    parameters: Vec<ParameterView>,
    created_at: String,
    updated_at: String,
}

/// A parameter that the script declares.
#[derive(Serialize, ToSchema)]
pub struct ParameterView {
    /// The variable's name in the script.
    #[schema(example = "SERVICES")]
    name: String,
    /// What it is without a value of the task: a text, `{"secret_name": "…"}`, or null.
    #[schema(required, value_type = Option<ParameterValueSchema>)]
    default: Option<ParameterValue>,
    /// Whether there must be a value.
    is_required: bool,
}

/// What a parameter is given: a text, or a secret of the team by its name. How it looks in the document.
#[derive(ToSchema)]
#[schema(as = ScriptParameterValue)]
#[serde(untagged)]
pub enum ParameterValueSchema {
    /// This text.
    Text(String),
    /// The secret of this name.
    Secret {
        /// Its name.
        #[schema(example = "db-password")]
        secret_name: String,
    },
}

/// What came of a script's test.
#[derive(ToSchema)]
#[expect(dead_code, reason = "the worker writes it; here it is described")]
pub struct ScriptTestView {
    /// Whether it ended with status 0.
    ok: bool,
    /// Its own; null where it has none, because it did not begin or was killed.
    #[schema(required, example = 0)]
    exit_status: Option<u32>,
    /// Whether it took too long and was killed.
    is_timed_out: bool,
    /// One sentence: how it ended, or why it did not begin.
    #[schema(example = "The script ended with status 0.")]
    message: String,
    /// Its first 50 lines and its last 30, both outputs together, secrets replaced.
    output: Vec<String>,
    duration_ms: u64,
}

impl ScriptView {
    /// The view of `row`.
    #[must_use]
    pub fn of(row: rows::scripts::Model) -> Self {
        let parameters = parameters(&row).into_iter().map(|parameter| ParameterView {
            name: parameter.name,
            default: parameter.default,
            is_required: parameter.is_required,
        });
        let preset = row.preset.as_deref().and_then(Preset::parse);
        Self {
            parameters: parameters.collect(),
            id: row.id,
            user_id: row.user_id,
            label: row.label,
            description: row.description,
            body: row.body.or(preset.map(|preset| preset.body().to_owned())).unwrap_or_default(),
            preset: row.preset,
            interpreter: row.interpreter,
            timeout_secs: row.timeout_secs,
            created_at: time::utc(row.created_at),
            updated_at: time::utc(row.updated_at),
        }
    }

    /// For the audit log, which is kept for ever: of the text its digest alone, for people write passwords into scripts.
    #[must_use]
    pub fn audited(&self) -> Value {
        let mut view = json!(self);
        let digest: String = Sha256::digest(&self.body).iter().map(|byte| format!("{byte:02x}")).collect();
        view["body"] = json!(format!("sha256:{digest}"));
        view
    }
}

/// What `row` declares; a row of another version declares nothing rather than failing a list.
#[must_use]
pub fn parameters(row: &rows::scripts::Model) -> Vec<Parameter> {
    serde_json::from_value(row.parameters.clone()).unwrap_or_else(|error| {
        tracing::error!(script = row.id, %error, "unreadable parameters");
        Vec::new()
    })
}

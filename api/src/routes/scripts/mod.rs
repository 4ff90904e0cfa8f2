//! A team's own commands before and after its backups.

pub mod create;
pub mod delete;
pub mod list;
pub mod show;
pub mod test;
pub mod update;
pub mod values;

use crate::validation::{Fields, Mode, Presence, texts};
use crate::views::script::ParameterValueSchema;
use holdfast_domain::script::{
    Interpreter, PARAMETERS_MAX, Parameter, ParameterValue, Preset, parameter_name, secret_name, value,
};
use serde_json::Value;
use utoipa::ToSchema;
use validator::Validate;

/// A script as a client writes it.
#[derive(Default, Validate, ToSchema)]
#[schema(as = ScriptBody)]
pub(crate) struct Body {
    #[validate(length(max = 255))]
    label: Option<String>,
    /// At most 1000 characters; null takes it away.
    description: Option<String>,
    /// `stop_services`, `start_services`: a script that comes with the product, instead of `body`, `interpreter` and
    /// `parameters`. It has the one parameter `SERVICES`: names with blanks between.
    preset: Option<String>,
    /// `sh`, `bash`, `python3`; `sh` without it.
    interpreter: Option<String>,
    /// Its text, at most 65536 bytes.
    body: Option<String>,
    /// How long it may take before it and everything it started is killed; 300 without it.
    #[validate(range(min = 1, max = 86_400))]
    timeout_secs: Option<i64>,
    /// Replaces them all. In the script each is a variable.
    parameters: Option<Vec<ParameterBody>>,
}

/// A parameter as a client writes it.
#[derive(ToSchema)]
#[schema(as = ScriptParameterBody)]
pub(crate) struct ParameterBody {
    /// Capital letters, digits and underscores.
    name: Option<String>,
    /// What it is without a value of the task: a text, `{"secret_name": "…"}`, or null.
    #[schema(value_type = Option<ParameterValueSchema>)]
    default: Option<ParameterValue>,
    /// Whether there must be a value; without one the variable is the empty text.
    is_required: Option<bool>,
}

impl Body {
    fn read(fields: &mut Fields) -> Self {
        let is_new = fields.mode() == Mode::Create;
        let takes_preset = is_new && fields.filled("preset");
        let needs_body = if takes_preset { Presence::Optional } else { Presence::Required };
        let body = Self {
            label: fields.string("label", Presence::Required),
            description: fields.text("description", Presence::Optional),
            preset: fields.one_of("preset", Presence::Optional, Preset::WORDS),
            interpreter: fields.one_of("interpreter", Presence::Optional, Interpreter::WORDS),
            body: fields.parsed("body", needs_body, holdfast_domain::script::body),
            timeout_secs: fields.integer("timeout_secs", Presence::Optional),
            parameters: parameters(fields),
        };
        fields.check(&body);
        if takes_preset {
            refuse_own_text(fields);
        }
        if !is_new && fields.filled("preset") {
            fields.fail_invalid("preset", &"it cannot be changed; make another script");
        }
        fields.refuse_unknown();
        body
    }

    fn parameters(&self) -> Option<Vec<Parameter>> {
        let list = self.parameters.as_ref()?;
        let parameter = |body: &ParameterBody| Parameter {
            name: body.name.clone().unwrap_or_default(),
            default: body.default.clone(),
            is_required: body.is_required.unwrap_or(false),
        };
        Some(list.iter().map(parameter).collect())
    }
}

/// What a preset brings itself.
fn refuse_own_text(fields: &mut Fields) {
    for field in ["body", "interpreter", "parameters"] {
        if fields.filled(field) {
            fields.fail_invalid(field, &"a preset brings its own");
        }
    }
}

/// Null, as `[]`, declares none.
fn parameters(fields: &mut Fields) -> Option<Vec<ParameterBody>> {
    let name = "parameters";
    let is_none = fields.sent(name) && !fields.filled(name);
    let list = fields.objects(name, Presence::Optional, PARAMETERS_MAX, |inner| {
        let parameter = ParameterBody {
            name: inner.parsed("name", Presence::Required, parameter_name),
            default: default(inner),
            is_required: inner.boolean("is_required", Presence::Optional),
        };
        inner.refuse_unknown();
        parameter
    });
    for (position, parameter) in list.iter().flatten().enumerate() {
        let before = list.iter().flatten().take(position);
        if parameter.name.is_some() && before.into_iter().any(|other| other.name == parameter.name) {
            let field = format!("{name}.{position}.name");
            fields.fail(&field, format!("The {} field has a duplicate value.", texts::attribute(&field)));
        }
    }
    list.or(is_none.then(Vec::new))
}

fn default(fields: &mut Fields) -> Option<ParameterValue> {
    let raw = fields.raw("default")?;
    let read = parameter_value(&raw);
    read.map_err(|problem| fields.fail_invalid("default", &problem)).ok().flatten()
}

/// A parameter's value as a client writes it; null is none.
fn parameter_value(raw: &Value) -> Result<Option<ParameterValue>, &'static str> {
    match raw {
        Value::Null => Ok(None),
        Value::String(text) => value(text).map(|text| Some(ParameterValue::Text(text))),
        Value::Object(map) if map.len() == 1 => match map.get("secret_name") {
            Some(Value::String(name)) => {
                secret_name(name).map(|secret_name| Some(ParameterValue::Secret { secret_name }))
            }
            _ => Err("it must be a text or {\"secret_name\": \"…\"}"),
        },
        _ => Err("it must be a text or {\"secret_name\": \"…\"}"),
    }
}

//! What tasks and tests give a script's parameters.

use super::parameter_value;
use crate::problem::{FieldErrors, Problem};
use crate::validation::{Fields, Presence, texts};
use crate::views::script::parameters;
use holdfast_domain::failure::printable;
use holdfast_domain::script::{
    PARAMETERS_MAX, Parameter, ParameterValue, ParameterValues, Preset, SERVICES, resolve, services,
};
use holdfast_store::{TeamTx, rows};

/// Reads the field `parameters`; null and absent are no values.
pub(crate) fn read(fields: &mut Fields) -> ParameterValues {
    let mut values = ParameterValues::new();
    let entries = fields.entries("parameters", Presence::Optional).unwrap_or_default();
    if entries.len() > PARAMETERS_MAX {
        fields.fail_invalid("parameters", &format!("there may be at most {PARAMETERS_MAX}"));
        return values;
    }
    for (name, raw) in entries {
        match parameter_value(&raw) {
            Ok(Some(value)) => {
                values.insert(name, value);
            }
            Ok(None) => {}
            Err(problem) => fields.fail_invalid(&format!("parameters.{}", printable(&name, 64)), &problem),
        }
    }
    values
}

/// Notes in `errors`, under `prefix`, what does not fit `script`: a name that it does not declare, a value that is missing, a
/// secret that the team does not have.
///
/// # Errors
/// The database failed.
pub(crate) async fn check(
    tx: &TeamTx,
    script: &rows::scripts::Model,
    given: &ParameterValues,
    (prefix, errors): (&str, &mut FieldErrors),
) -> Result<(), Problem> {
    let field = format!("{prefix}parameters");
    let values = match resolve(&parameters(script), given) {
        Ok(values) => values,
        Err(problems) => {
            for problem in problems {
                errors.push(&field, texts::invalid(&field, &printable(&problem.to_string(), 200)));
            }
            return Ok(());
        }
    };
    if script.preset.as_deref().and_then(Preset::parse).is_some() {
        let is_good = match values.get(SERVICES) {
            Some(ParameterValue::Text(text)) => services(text).map(drop),
            _ => Err("it must be names of services"),
        };
        if let Err(problem) = is_good {
            let field = format!("{field}.{SERVICES}");
            errors.push(&field, texts::invalid(&field, &problem));
        }
    }
    let named: Vec<(&String, &str)> =
        values.iter().filter_map(|(name, value)| value.secret().map(|secret| (name, secret))).collect();
    for name in absent_secrets(tx, &named).await? {
        let field = format!("{field}.{name}");
        errors.push(&field, texts::selected(&field));
    }
    Ok(())
}

/// Notes which defaults name a secret that the team does not have.
///
/// # Errors
/// The database failed.
pub(super) async fn check_defaults(
    tx: &TeamTx,
    declared: &[Parameter],
    errors: &mut FieldErrors,
) -> Result<(), Problem> {
    let default =
        |parameter: &Parameter| parameter.default.as_ref().and_then(ParameterValue::secret).map(str::to_owned);
    let named: Vec<(String, String)> = declared
        .iter()
        .enumerate()
        .filter_map(|(at, parameter)| default(parameter).map(|secret| (format!("parameters.{at}.default"), secret)))
        .collect();
    let named: Vec<(&String, &str)> = named.iter().map(|(field, secret)| (field, secret.as_str())).collect();
    for field in absent_secrets(tx, &named).await? {
        errors.push(&field, texts::selected(&field));
    }
    Ok(())
}

/// Those whose secret is not there.
async fn absent_secrets(tx: &TeamTx, named: &[(&String, &str)]) -> Result<Vec<String>, Problem> {
    if named.is_empty() {
        return Ok(Vec::new());
    }
    let names: Vec<String> = named.iter().map(|(_, secret)| (*secret).to_owned()).collect();
    let found = tx.script_secrets().named(&names).await?;
    let is_absent = |secret: &str| !found.iter().any(|row| row.name == secret);
    Ok(named.iter().filter(|(_, secret)| is_absent(secret)).map(|(name, _)| (*name).clone()).collect())
}

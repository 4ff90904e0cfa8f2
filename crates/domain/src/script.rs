//! Scripts: a team's own commands before and after a backup. What they may be called, what their parameters are, and how
//! those find their values. No value may ever become part of a script's text: it arrives there as a variable.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

mod preset;
mod rules;

pub use preset::{Preset, SERVICES, services};
pub use rules::{body, parameter_name, secret_name, value};

/// Parameters of one script at most.
pub const PARAMETERS_MAX: usize = 30;
/// Scripts of one task at most.
pub const PER_TASK_MAX: usize = 20;
/// Longest text of a script.
pub const BODY_MAX_BYTES: usize = 65_536;
/// Longest value of a parameter, and of a secret.
pub const VALUE_MAX_BYTES: usize = 4_096;
/// Longest time that a script may have.
pub const TIMEOUT_MAX_SECS: i64 = 86_400;
/// What a script has that says nothing of its time.
pub const TIMEOUT_DEFAULT_SECS: i32 = 300;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$one:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$one])* #[serde(rename = $text)] $variant),+
        }

        impl $name {
            /// Every word, as on the wire.
            pub const WORDS: &'static [&'static str] = &[$($text),+];

            /// The wire form.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }

            /// From the wire form.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some($name::$variant),)+ _ => None }
            }
        }
    };
}
pub(crate) use words;

words! {
    /// What runs a script on the server.
    Interpreter {
        /// The server's `sh`.
        Sh = "sh",
        /// `bash`.
        Bash = "bash",
        /// `python3`.
        Python3 = "python3",
    }
}

words! {
    /// On which side of the reading a script runs.
    Phase {
        /// Before anything is read.
        Before = "before",
        /// After it.
        After = "after",
    }
}

words! {
    /// After what a script of the phase `after` runs.
    RunOn {
        /// As soon as the source was read, or could not be: it is what undoes a script before.
        Always = "always",
        /// Once the backup is stored, verified and recorded.
        Success = "success",
        /// When the run ended without a backup.
        Failure = "failure",
    }
}

words! {
    /// What a script that ended badly means for the run.
    OnFailure {
        /// The run fails and nothing is read; before alone.
        Abort = "abort",
        /// The run goes on and says so in its result.
        Warn = "warn",
        /// It stands in the log alone.
        Continue = "continue",
    }
}

/// What a parameter is given: a text, or a secret of the team by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ParameterValue {
    /// This.
    Text(String),
    /// What the worker finds in the secret of this name.
    Secret {
        /// Its name.
        secret_name: String,
    },
}

impl ParameterValue {
    /// The secret that it names.
    #[must_use]
    pub fn secret(&self) -> Option<&str> {
        match self {
            Self::Secret { secret_name } => Some(secret_name),
            Self::Text(_) => None,
        }
    }
}

/// A parameter that a script declares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// The variable's name in the script.
    pub name: String,
    /// What it is without a value of the task's.
    pub default: Option<ParameterValue>,
    /// Whether there must be a value; one that need not have any is the empty text without.
    pub is_required: bool,
}

/// Values by the names of parameters.
pub type ParameterValues = BTreeMap<String, ParameterValue>;

/// Why values do not fit a script.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueProblem {
    /// The script declares no such parameter.
    #[error("the script has no parameter {0}")]
    Unknown(String),
    /// It must have a value.
    #[error("the script's parameter {0} needs a value")]
    Missing(String),
}

/// The value of every declared parameter.
///
/// # Errors
/// Every problem there is.
pub fn resolve(declared: &[Parameter], given: &ParameterValues) -> Result<ParameterValues, Vec<ValueProblem>> {
    let is_declared = |name: &str| declared.iter().any(|parameter| parameter.name == name);
    let mut problems: Vec<ValueProblem> =
        given.keys().filter(|name| !is_declared(name)).map(|name| ValueProblem::Unknown(name.clone())).collect();
    let mut values = ParameterValues::new();
    for parameter in declared {
        match given.get(&parameter.name).or(parameter.default.as_ref()) {
            Some(value) => {
                values.insert(parameter.name.clone(), value.clone());
            }
            None if parameter.is_required => problems.push(ValueProblem::Missing(parameter.name.clone())),
            None => {
                values.insert(parameter.name.clone(), ParameterValue::Text(String::new()));
            }
        }
    }
    if problems.is_empty() { Ok(values) } else { Err(problems) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> ParameterValue {
        ParameterValue::Text(text.to_owned())
    }

    #[test]
    fn a_task_gives_values_a_script_gives_defaults_and_what_is_missing_is_told() {
        let parameter = |name: &str, default: Option<&str>, is_required| Parameter {
            name: name.to_owned(),
            default: default.map(text),
            is_required,
        };
        let declared = [parameter("A", Some("a"), true), parameter("B", None, true), parameter("C", None, false)];
        let given = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), text(v))).collect();
        let values = resolve(&declared, &given(&[("B", "b")])).unwrap();
        assert_eq!(values, given(&[("A", "a"), ("B", "b"), ("C", "")]));
        let problems = resolve(&declared, &given(&[("A", "x"), ("D", "d")])).unwrap_err();
        assert_eq!(problems, [ValueProblem::Unknown("D".into()), ValueProblem::Missing("B".into())]);
    }

    #[test]
    fn a_secret_is_written_as_its_name() {
        let value: ParameterValue = serde_json::from_str(r#"{"secret_name": "db"}"#).unwrap();
        assert_eq!(value.secret(), Some("db"));
        assert_eq!(serde_json::to_string(&text("x")).unwrap(), r#""x""#);
        assert!(serde_json::from_str::<ParameterValue>("5").is_err());
    }
}

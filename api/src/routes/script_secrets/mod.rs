//! What scripts are given by its name.

pub mod create;
pub mod delete;
pub mod list;
pub mod show;
pub mod update;

use crate::audit::SealedFields;
use crate::validation::{Fields, Presence};
use holdfast_domain::script::{VALUE_MAX_BYTES, secret_name};
use holdfast_store::rows;
use utoipa::ToSchema;

/// What is sealed in a row.
const SECRETS: &SealedFields<rows::script_secrets::Model> = &[("value", |row| Some(&row.sealed_value))];

/// A secret as a client writes it.
#[derive(Default, ToSchema)]
#[schema(as = ScriptSecretBody)]
pub(crate) struct Body {
    /// Small letters, digits, dashes and underscores; unique in the team. It cannot be changed.
    name: Option<String>,
    /// At most 1000 characters; null takes it away.
    description: Option<String>,
    /// Write-only; at most 4096 bytes.
    value: Option<String>,
}

impl Body {
    fn read(fields: &mut Fields) -> Self {
        let body = Self {
            name: fields.parsed("name", Presence::Required, secret_name),
            description: fields.text("description", Presence::Optional),
            value: fields.secret("value", Presence::Required, true),
        };
        if body.value.as_ref().is_some_and(|value| value.len() > VALUE_MAX_BYTES) {
            fields.fail_invalid("value", &"it may have at most 4096 bytes");
        }
        fields.refuse_unknown();
        body
    }
}

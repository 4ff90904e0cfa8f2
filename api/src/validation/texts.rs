//! The one table of sentences. `{field}` is the field's name with spaces for underscores.

use validator::ValidationError;

/// `remote_server_id` → `remote server id`; dots stay.
#[must_use]
pub fn attribute(field: &str) -> String {
    field.replace('_', " ")
}

/// A required field is absent or null.
#[must_use]
pub fn required(field: &str) -> String {
    format!("The {} field is required.", attribute(field))
}

/// Required because another field has a value.
#[must_use]
pub fn required_when(field: &str, other: &str, value: &str) -> String {
    format!("The {} field is required when {} is {value}.", attribute(field), attribute(other))
}

/// Required because another field is missing.
#[must_use]
pub fn required_without(field: &str, other: &str) -> String {
    format!("The {} field is required when {} is not present.", attribute(field), attribute(other))
}

/// The value is not of the kind that `kind` names: `a string`, `an integer`, `an array`, `true or false` …
#[must_use]
pub fn must_be(field: &str, kind: &str) -> String {
    format!("The {} field must be {kind}.", attribute(field))
}

/// The value is not among the allowed ones, or names a row that is not there.
#[must_use]
pub fn selected(field: &str) -> String {
    format!("The selected {} is invalid.", attribute(field))
}

/// A text with too many characters.
#[must_use]
pub fn too_long(field: &str, max: usize) -> String {
    format!("The {} field must not be greater than {max} characters.", attribute(field))
}

/// A value that a rule of the domain refuses; `problem` starts with "it" or names the thing.
#[must_use]
pub fn invalid(field: &str, problem: &dyn std::fmt::Display) -> String {
    format!("The {} field is invalid: {problem}.", attribute(field))
}

/// The sentence for an error that the struct's own rules found.
#[must_use]
pub fn of_rule(field: &str, error: &ValidationError) -> String {
    if let Some(message) = &error.message {
        return message.replace("{field}", &attribute(field));
    }
    let bound = |name: &str| error.params.get(name).map(|value| value.to_string());
    let is_over = |max: &str| {
        let value = error.params.get("value");
        let size = value.and_then(|v| v.as_f64().or_else(|| v.as_str().map(|s| s.chars().count() as f64)));
        let size = size.or_else(|| value.and_then(|v| v.as_array().map(|a| a.len() as f64)));
        size.zip(max.parse::<f64>().ok()).is_none_or(|(size, max)| size > max)
    };
    let unit = if error.code == "length" && error.params.get("value").is_some_and(serde_json::Value::is_string) {
        " characters"
    } else {
        ""
    };
    match (error.code.as_ref(), bound("min"), bound("max")) {
        ("length" | "range", _, Some(max)) if is_over(&max) => {
            format!("The {} field must not be greater than {max}{unit}.", attribute(field))
        }
        ("length" | "range", Some(min), _) => format!("The {} field must be at least {min}{unit}.", attribute(field)),
        _ => format!("The {} field format is invalid.", attribute(field)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use validator::Validate;

    #[derive(Validate)]
    struct Sample {
        #[validate(length(max = 3))]
        label: Option<String>,
        #[validate(range(min = 1, max = 65535))]
        port: Option<i64>,
    }

    fn sentence(sample: &Sample, field: &str) -> String {
        let errors = sample.validate().unwrap_err();
        of_rule(field, &errors.field_errors()[field][0])
    }

    #[test]
    fn bounds_are_told_as_the_peer_tells_them() {
        let sample = Sample { label: Some("four".into()), port: Some(0) };
        assert_eq!(sentence(&sample, "label"), "The label field must not be greater than 3 characters.");
        assert_eq!(sentence(&sample, "port"), "The port field must be at least 1.");
        let sample = Sample { label: None, port: Some(70_000) };
        assert_eq!(sentence(&sample, "port"), "The port field must not be greater than 65535.");
    }
}

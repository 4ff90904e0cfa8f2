//! What a change did, field by field, for the audit log. A secret must never come in here as a value: of it only that it
//! was set, changed or removed is told.

use serde::Serialize;
use serde_json::{Map, Value, json};

/// Change with every write, and tell nothing.
const NOISE: [&str; 2] = ["created_at", "updated_at"];

/// Changed fields: `{"label": {"before": "a", "after": "b"}, "password": {"after": "changed"}}`; nested ones with dots.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes(Map<String, Value>);

impl Changes {
    /// What differs between two views of one thing: what a client may see of it, so without secrets.
    #[must_use]
    pub fn between(before: &impl Serialize, after: &impl Serialize) -> Self {
        let (before, after) = (fields(before), fields(after));
        let mut changes = Self::default();
        for (name, old) in &before {
            let new = after.get(name).unwrap_or(&Value::Null);
            if old != new {
                changes.0.insert(name.clone(), json!({"before": old, "after": new}));
            }
        }
        for (name, new) in after.iter().filter(|(name, new)| !before.contains_key(*name) && !new.is_null()) {
            changes.0.insert(name.clone(), json!({"before": null, "after": new}));
        }
        changes
    }

    /// A thing that was made.
    #[must_use]
    pub fn made(after: &impl Serialize) -> Self {
        Self::between(&Value::Null, after)
    }

    /// A thing that is removed.
    #[must_use]
    pub fn removed(before: &impl Serialize) -> Self {
        let present = fields(before).into_iter().filter(|(_, value)| !value.is_null());
        Self(present.map(|(name, value)| (name, json!({"before": value}))).collect())
    }

    /// One field, whose values are no secret.
    #[must_use]
    pub fn field(mut self, name: &str, before: impl Serialize, after: impl Serialize) -> Self {
        let value = json!({"before": before, "after": after});
        self.0.insert(name.to_owned(), value);
        self
    }

    /// As [`Changes::field`], where they differ.
    #[must_use]
    pub fn field_if_changed<T: Serialize + PartialEq>(self, name: &str, before: T, after: T) -> Self {
        if before == after { self } else { self.field(name, before, after) }
    }

    /// A secret, by its sealed forms before and after: the same secret sealed anew counts as changed.
    #[must_use]
    pub fn secret(mut self, name: &str, before: Option<&[u8]>, after: Option<&[u8]>) -> Self {
        let word = match (before, after) {
            (None, None) => return self,
            (Some(old), Some(new)) if old == new => return self,
            (None, Some(_)) => "set",
            (Some(_), Some(_)) => "changed",
            (Some(_), None) => "removed",
        };
        self.0.insert(name.to_owned(), json!({"after": word}));
        self
    }

    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn into_json(self) -> Value {
        Value::Object(self.0)
    }
}

/// The fields of a view, objects within it taken apart.
fn fields(view: &impl Serialize) -> Map<String, Value> {
    let mut flat = Map::new();
    if let Ok(Value::Object(map)) = serde_json::to_value(view) {
        flatten("", map, &mut flat);
    }
    flat
}

fn flatten(prefix: &str, map: Map<String, Value>, flat: &mut Map<String, Value>) {
    for (name, value) in map {
        if NOISE.contains(&name.as_str()) {
            continue;
        }
        match value {
            Value::Object(inner) => flatten(&format!("{prefix}{name}."), inner, flat),
            other => {
                flat.insert(format!("{prefix}{name}"), other);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_told_and_of_a_secret_no_value() {
        let before = json!({"label": "a", "connection": {"port": 22, "host": "h"}, "updated_at": 1, "gone": "x"});
        let after = json!({"label": "b", "connection": {"port": 22, "host": "i"}, "updated_at": 2, "new": 5});
        let changes = Changes::between(&before, &after)
            .secret("password", Some(b"CANARY-1"), Some(b"CANARY-2"))
            .secret("key", None, Some(b"CANARY-3"))
            .secret("same", Some(b"CANARY-4"), Some(b"CANARY-4"));
        assert_eq!(
            changes.into_json(),
            json!({
                "label": {"before": "a", "after": "b"}, "connection.host": {"before": "h", "after": "i"},
                "gone": {"before": "x", "after": null}, "new": {"before": null, "after": 5},
                "password": {"after": "changed"}, "key": {"after": "set"}
            })
        );
        assert!(Changes::between(&before, &before).is_empty());
        assert_eq!(Changes::made(&json!({"a": 1, "b": null})).into_json(), json!({"a": {"before": null, "after": 1}}));
        assert_eq!(Changes::removed(&json!({"a": 1, "b": null})).into_json(), json!({"a": {"before": 1}}));
    }
}

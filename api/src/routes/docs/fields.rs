//! The fields of a body as rows: `source.paths[]` for what lies deeper.

use serde_json::Value;

/// Deeper than any body of ours; a schema that holds itself ends here.
const DEEPEST: usize = 6;

/// One row of the table of a body.
pub(super) struct Field {
    pub path: String,
    pub kind: String,
    pub is_required: bool,
    pub text: String,
}

/// Every field of a schema, inner ones behind the one that holds them.
pub(super) fn of(document: &Value, schema: &Value) -> Vec<Field> {
    let mut found = Vec::new();
    collect(document, schema, "", &mut found, 0);
    found
}

/// What stands behind a reference, and beside "or nothing".
fn resolved<'a>(document: &'a Value, mut schema: &'a Value) -> &'a Value {
    for _ in 0..DEEPEST {
        let either = schema["oneOf"].as_array().or(schema["anyOf"].as_array());
        if let Some(path) = schema["$ref"].as_str().and_then(|path| path.strip_prefix('#')) {
            schema = document.pointer(path).unwrap_or(&Value::Null);
        } else if let Some(one) = either.and_then(|all| all.iter().find(|one| one["type"] != "null")) {
            schema = one;
        } else {
            break;
        }
    }
    schema
}

fn collect(document: &Value, schema: &Value, above: &str, found: &mut Vec<Field>, depth: usize) {
    let schema = resolved(document, schema);
    if depth > DEEPEST {
        return;
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        collect(document, part, above, found, depth + 1);
    }
    let items = resolved(document, &schema["items"]);
    if items.is_object() {
        collect(document, items, &format!("{above}[]"), found, depth + 1);
    }
    let required = schema["required"].as_array();
    for (name, outer) in schema["properties"].as_object().into_iter().flatten() {
        let inner = resolved(document, outer);
        let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        let said = outer["description"].as_str().or(inner["description"].as_str()).unwrap_or_default();
        found.push(Field {
            kind: kind(document, outer),
            is_required: required.is_some_and(|all| all.iter().any(|one| one == name)),
            text: said.to_owned(),
            path: path.clone(),
        });
        collect(document, inner, &path, found, depth + 1);
    }
}

/// `string or null`.
pub(super) fn kind(document: &Value, schema: &Value) -> String {
    if schema["$ref"].is_string() {
        return kind(document, resolved(document, schema));
    }
    if let Some(any) = schema["oneOf"].as_array().or(schema["anyOf"].as_array()) {
        let mut kinds: Vec<String> = any.iter().map(|one| kind(document, one)).collect();
        kinds.dedup();
        return kinds.join(" or ");
    }
    let mut kinds: Vec<String> = match &schema["type"] {
        Value::String(one) => vec![one.clone()],
        Value::Array(all) => all.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect(),
        _ => vec!["object".to_owned()],
    };
    for one in &mut kinds {
        if one == "array" && schema["items"].is_object() {
            *one = format!("list of {}", kind(document, &schema["items"]));
        }
    }
    kinds.join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn inner_fields_stand_behind_their_path() {
        let document = json!({"components": {"schemas": {
            "Inner": {"type": "object", "properties": {"n": {"type": ["integer", "null"], "description": "A number."}}},
        }}});
        let reference = json!({"$ref": "#/components/schemas/Inner"});
        let schema = json!({"required": ["list"], "properties": {
            "list": {"type": "array", "items": reference}, "one": {"oneOf": [{"type": "null"}, reference]},
        }});
        let rows = of(&document, &schema);
        let lines = rows.iter().map(|row| format!("{} {} {}", row.path, row.kind, row.is_required)).collect::<Vec<_>>();
        let wanted = [
            "list list of object true",
            "list[].n integer or null false",
            "one null or object false",
            "one.n integer or null false",
        ];
        assert_eq!(lines, wanted);
    }

    #[test]
    fn a_schema_that_holds_itself_ends() {
        let document = json!({"components": {"schemas": {
            "Tree": {"type": "object", "properties": {"below": {"$ref": "#/components/schemas/Tree"}}},
        }}});
        assert!(of(&document, &json!({"$ref": "#/components/schemas/Tree"})).len() < 10);
    }
}

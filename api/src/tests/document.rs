//! The document says everything: each field, each parameter, each status, with an example that fits.

use super::world::{Shown, World, at, name, resolved};
use crate::extract::Need;
use crate::routes::rows;
use holdfast_store::fleet::Round;
use serde_json::Value;
use std::collections::BTreeSet;

fn document() -> Value {
    serde_json::to_value(crate::openapi()).unwrap()
}

/// Method and path, and the operation.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        found.extend(
            item.as_object().unwrap().iter().map(|(method, operation)| (format!("{method} {path}"), operation)),
        );
    }
    found
}

fn is_said(value: &Value) -> bool {
    value["description"].as_str().is_some_and(|text| !text.trim().is_empty())
}

#[test]
fn everything_is_described() {
    let document = document();
    let mut silent = Vec::new();
    for (name, operation) in operations(&document) {
        if operation["summary"].as_str().is_none_or(str::is_empty) || operation["tags"][0].as_str().is_none() {
            silent.push(name.clone());
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten().filter(|one| !is_said(one)) {
            silent.push(format!("{name}: parameter {}", parameter["name"]));
        }
        for (status, answer) in operation["responses"].as_object().unwrap() {
            if !is_said(answer) {
                silent.push(format!("{name}: {status}"));
            }
        }
    }
    for (schema, inner) in document["components"]["schemas"].as_object().unwrap() {
        if !is_said(inner) {
            silent.push(schema.clone());
        }
        silent_fields(schema, inner, &mut silent);
    }
    let help = "say it in a comment of the field, or in api/src/routes/document/words.rs";
    assert!(silent.is_empty(), "{} without a description ({help}): {silent:#?}", silent.len());
}

/// Fields without a description, inner ones too.
fn silent_fields(at: &str, schema: &Value, silent: &mut Vec<String>) {
    for part in ["allOf", "oneOf", "anyOf"].iter().flat_map(|kind| schema[*kind].as_array().into_iter().flatten()) {
        silent_fields(at, part, silent);
    }
    if schema["items"].is_object() {
        silent_fields(at, &schema["items"], silent);
    }
    for (field, inner) in schema["properties"].as_object().into_iter().flatten() {
        if !is_said(inner) {
            silent.push(format!("{at}.{field}"));
        }
        silent_fields(&format!("{at}.{field}"), inner, silent);
    }
}

#[test]
fn every_body_has_an_example_that_fits() {
    let document = document();
    let (mut bad, mut checked) = (Vec::new(), 0);
    for (name, operation) in operations(&document) {
        let answers =
            operation["responses"].as_object().unwrap().iter().map(|(status, answer)| (status.as_str(), answer));
        for (what, body) in answers.chain([("the request", &operation["requestBody"])]) {
            for (kind, content) in body["content"].as_object().into_iter().flatten() {
                if matches!(
                    kind.as_str(),
                    "text/html" | "application/octet-stream" | "text/plain" | "text/event-stream"
                ) {
                    continue;
                }
                checked += 1;
                if content["example"].is_null() {
                    bad.push(format!("{name}: {what} as {kind} has none"));
                } else if let Err(why) = fits(&document, &content["schema"], &content["example"], "") {
                    bad.push(format!("{name}: {what} as {kind}: {why}"));
                }
            }
        }
    }
    let help = "requests: api/src/routes/document/examples.rs";
    assert!(bad.is_empty(), "{} examples ({help}): {bad:#?}", bad.len());
    assert!(checked > 500, "only {checked} bodies");
}

/// Whether `value` fits `schema`, in the part of JSON Schema that the document uses.
fn fits(document: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    if let Some(path) = schema["$ref"].as_str() {
        let found = document.pointer(path.strip_prefix('#').unwrap()).ok_or_else(|| format!("{path} leads nowhere"))?;
        return fits(document, found, value, at);
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        fits(document, part, value, at)?;
    }
    for kind in ["oneOf", "anyOf"] {
        if let Some(parts) = schema[kind].as_array() {
            let fitting = parts.iter().filter(|part| fits(document, part, value, at).is_ok()).count();
            if fitting == 0 || (kind == "oneOf" && fitting > 1) {
                return Err(format!("{at}: {value} fits {fitting} of {kind}"));
            }
        }
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let is_one = |kind: &&str| match *kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        _ => value.is_object(),
    };
    if !types.is_empty() && !types.iter().any(is_one) {
        return Err(format!("{at}: {value} is no {types:?}"));
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        fits(document, &schema["items"], item, &format!("{at}[{index}]"))?;
    }
    let Some(object) = value.as_object() else { return Ok(()) };
    for field in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !object.contains_key(field) {
            return Err(format!("{at}: {field} is missing"));
        }
    }
    for (field, inner) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(value) = object.get(field) {
            fits(document, inner, value, &format!("{at}.{field}"))?;
        }
    }
    Ok(())
}

#[test]
fn every_status_that_a_route_of_its_kind_can_answer_with_is_listed() {
    let document = document();
    let mut missing = Vec::new();
    for row in rows() {
        let operation = super::world::operation(&document, &row);
        let mut needed = BTreeSet::from(["500", "503", "504"]);
        if !row.need.is_open() {
            needed.extend(["401", "403", "429"]);
        }
        if row.path.contains('{') {
            needed.insert("404");
        }
        if operation["requestBody"].is_object() {
            needed.extend(["400", "408", "413", "415", "422"]);
        }
        for status in needed {
            if operation["responses"][status].is_null() {
                missing.push(format!("{}: {status}", name(&row)));
            }
        }
        let good = operation["responses"].as_object().unwrap().keys().filter(|status| status.starts_with('2')).count();
        // It says what to type on the machine itself.
        let is_told_only = row.path == "/api/system/backups/{id}/restore";
        assert!(good > 0 || is_told_only, "{} never succeeds", name(&row));
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// A reader copies the example: it must not be refused as bad.
#[tokio::test]
async fn the_examples_of_requests_are_accepted() {
    let world = World::new().await;
    let document = document();
    let token = Shown::Bearer(world.ann.person.token.clone());
    let session = Shown::Cookie(world.app.session(&world.ann.person).await);
    // The job of the example, which a worker has run.
    let round =
        Round { name: "purges", interval_secs: 600.0, worker: "w", took_secs: 0.1, error: None, is_forced: false };
    world.app.store.note_round(&round).await.unwrap();
    let mut refused = Vec::new();
    let mut all = rows();
    // What changes a thing comes before what makes another like it.
    all.sort_by_key(|row| (row.method != "PUT", row.method == "DELETE"));
    for row in all {
        let operation = super::world::operation(&document, &row);
        let Some(content) = operation["requestBody"]["content"].get("application/json") else { continue };
        let schema = resolved(&document, &content["schema"]);
        assert!(schema["properties"].is_object(), "{}", name(&row));
        let team = if row.path.starts_with("/api/system/users/") { &world.bob } else { &world.ann };
        let path = if row.path.contains("{id}") { at(&row, team.id(&row.path)) } else { row.path.clone() };
        // What takes away the world itself is asked with a body alone.
        let is_last = matches!(row.path.as_str(), "/api/account" | "/api/system/users/{id}");
        let path = if is_last && row.path.contains("{id}") { at(&row, super::world::ABSENT) } else { path };
        if row.path == "/api/account" {
            continue;
        }
        let who = if row.need == Need::Session { &session } else { &token };
        let answer = world.app.as_who(who, 1, (&row.method, &path), &content["example"]).await;
        // Passwords, codes and links of the example are nobody's; that is told about exactly these fields.
        let text = String::from_utf8_lossy(&answer.bytes).into_owned();
        let errors = serde_json::from_slice::<Value>(&answer.bytes).unwrap_or_default()["errors"].clone();
        let secrets = ["password", "current_password", "code", "token", "email", "fingerprint"];
        let fields: Vec<String> = errors.as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default();
        // Two calls have the same example, and one server has one address.
        let is_taken = text.contains("has already been taken");
        let is_about_secrets = !fields.is_empty() && fields.iter().all(|field| secrets.contains(&field.as_str()));
        if matches!(answer.status.as_u16(), 400 | 415 | 500) || (answer.status == 422 && !is_about_secrets && !is_taken)
        {
            refused.push(format!("{}: {} {text}", name(&row), answer.status));
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
}

//! Fills what handlers and views leave unsaid, so that nothing of the document is without a description, an example, or a
//! status that it can answer with. A description of the field or the handler itself always wins.

use super::{examples, words};
use serde_json::Value;
use std::collections::BTreeSet;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::schema::{AnyOfBuilder, ArrayItems, Schema, SchemaType};
use utoipa::openapi::{Array, Content, ObjectBuilder, OpenApi, Ref, RefOr, Required};

/// Completes the document.
pub(super) fn complete(document: &mut OpenApi) {
    if let Some(components) = &mut document.components {
        let names: BTreeSet<String> = components.schemas.keys().cloned().collect();
        for (name, schema) in &mut components.schemas {
            if let RefOr::T(schema) = schema {
                refer(name, schema, &names);
                loosen(schema);
                describe(name, schema);
            }
            if let Some(text) = words::schema(name) {
                say(schema, text);
            }
        }
    }
    // Examples are put together from what the document says; a plain value is easier to walk than its types.
    let plain = serde_json::to_value(&*document).unwrap_or_default();
    for item in document.paths.paths.values_mut() {
        for operation in operations(item) {
            parameters(operation);
            bodies(operation);
            answers(operation, &plain);
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, post, put, patch, delete, .. } = item;
    [get, post, put, patch, delete].into_iter().filter_map(Option::as_mut)
}

/// The envelopes hold a copy of what is in them, where a reference says the same.
fn refer(name: &str, schema: &mut Schema, names: &BTreeSet<String>) {
    let list = name.strip_prefix("Data_Vec_").or_else(|| name.strip_prefix("ListBody_"));
    let Some(inner) = list.or_else(|| name.strip_prefix("Data_")).filter(|inner| names.contains(*inner)) else {
        return;
    };
    let Schema::Object(object) = schema else { return };
    let Some(data) = object.properties.get_mut("data") else { return };
    let reference = RefOr::Ref(Ref::from_schema_name(inner));
    match data {
        RefOr::T(Schema::Array(array)) if list.is_some() => array.items = ArrayItems::RefOrSchema(Box::new(reference)),
        _ if list.is_some() => *data = RefOr::T(Schema::Array(Array::new(reference))),
        _ => *data = reference,
    }
}

/// A flattened part that may be missing is told as "this part or null", which no object is: it is "this part or any".
fn loosen(schema: &mut Schema) {
    let Schema::AllOf(all) = schema else { return };
    for part in &mut all.items {
        let RefOr::T(Schema::OneOf(either)) = part else { continue };
        let is_null = |one: &RefOr<Schema>| matches!(one, RefOr::T(Schema::Object(object)) if object.schema_type == SchemaType::Type(utoipa::openapi::Type::Null));
        if !either.items.iter().any(is_null) {
            continue;
        }
        let some = either.items.iter().filter(|one| !is_null(one)).cloned();
        let any = some.fold(AnyOfBuilder::new(), |any, one| any.item(one)).item(ObjectBuilder::new());
        *part = RefOr::T(Schema::AnyOf(any.build()));
    }
}

fn describe(name: &str, schema: &mut Schema) {
    match schema {
        Schema::Object(object) => {
            for (field, inner) in &mut object.properties {
                if let Some(text) = words::meaning(name, field) {
                    say(inner, text);
                }
            }
        }
        Schema::AllOf(all) => describe_parts(name, &mut all.items),
        Schema::OneOf(one) => describe_parts(name, &mut one.items),
        Schema::AnyOf(any) => describe_parts(name, &mut any.items),
        _ => {}
    }
}

fn describe_parts(name: &str, parts: &mut [RefOr<Schema>]) {
    for part in parts {
        if let RefOr::T(part) = part {
            describe(name, part);
        }
    }
}

/// Adds a description where there is none.
fn say(schema: &mut RefOr<Schema>, text: &str) {
    let place = match schema {
        RefOr::Ref(reference) => {
            if reference.description.is_empty() {
                text.clone_into(&mut reference.description);
            }
            return;
        }
        RefOr::T(Schema::Object(one)) => &mut one.description,
        RefOr::T(Schema::Array(one)) => &mut one.description,
        RefOr::T(Schema::OneOf(one)) => &mut one.description,
        RefOr::T(Schema::AllOf(one)) => &mut one.description,
        RefOr::T(Schema::AnyOf(one)) => &mut one.description,
        RefOr::T(_) => return,
    };
    place.get_or_insert_with(|| text.to_owned());
}

fn parameters(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter
            && parameter.description.is_none()
        {
            parameter.description = words::parameter(&parameter.name).map(str::to_owned);
        }
    }
}

fn bodies(operation: &mut Operation) {
    let Some(RefOr::T(body)) = &mut operation.request_body else { return };
    for content in body.content.values_mut() {
        if let RefOr::T(content) = content {
            // A body that may be left out is told as "this or null", but null is not what leaving it out means.
            if let Some(RefOr::T(Schema::OneOf(either))) = &content.schema
                && let Some(reference) = either.items.iter().find(|one| matches!(one, RefOr::Ref(_)))
            {
                content.schema = Some(reference.clone());
                body.required = Some(Required::False);
            }
            let example = schema_name(content).and_then(examples::request);
            content.example = content.example.take().or(example);
        }
    }
}

/// The name of a body's schema.
fn schema_name(content: &Content) -> Option<&str> {
    match content.schema.as_ref()? {
        RefOr::Ref(reference) => reference.ref_location.rsplit('/').next(),
        RefOr::T(_) => None,
    }
}

fn answers(operation: &mut Operation, plain: &Value) {
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        if response.description.is_empty() {
            meaning_of(status).clone_into(&mut response.description);
        }
        for (kind, content) in &mut response.content {
            let RefOr::T(content) = content else { continue };
            if content.example.is_some() || kind != "application/json" {
                continue;
            }
            content.example = if status.starts_with('2') {
                let schema = content.schema.as_ref().and_then(|schema| serde_json::to_value(schema).ok());
                schema.map(|schema| examples::answer(plain, &schema))
            } else {
                examples::problem(status)
            };
        }
    }
}

/// What a status says where the handler does not.
fn meaning_of(status: &str) -> &'static str {
    match status {
        "200" => "Done.",
        "201" => "It was made.",
        "202" => "It was accepted, and goes on after the answer.",
        "401" => "No valid token, and no session.",
        "403" => "The caller may not do this.",
        "404" => "There is no such thing, or it is another team's.",
        "409" => "It cannot be done as things are; `code` says why.",
        "422" => "A field is missing or not valid; `errors` names each.",
        "429" => "Too many requests; see `Retry-After`.",
        "502" => "A worker, or what it asked for us, did not do its part; `message` says which.",
        "503" => "The database, or a worker that is needed, does not answer at the moment.",
        _ => "See `message`.",
    }
}

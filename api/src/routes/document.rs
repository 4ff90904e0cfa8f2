//! What every operation of the OpenAPI document has in common: written once here, not in every handler.

mod complete;
mod examples;
mod words;

use super::ErrorBody;
use crate::extract::Need;
use crate::extract::authorized::Rule;
use crate::idempotency::is_repeatable;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem, Paths};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, Content, Info, License, OpenApi, Ref, RefOr, ResponseBuilder};
use utoipa::{PartialSchema, ToSchema};

const BEARER: &str = "token";
const COOKIE: &str = "session";

/// Adds need and common errors to the one operation in `paths`.
///
/// # Panics
/// The handler declares another method or path than the route table: a fault in the code that every test meets.
pub(super) fn describe(paths: &mut Paths, method: &str, path: &str, rule: Rule) {
    let need = rule.need;
    let item = paths.paths.get_mut(path).unwrap_or_else(|| panic!("{path}: the handler declares another path"));
    let operation =
        operation(item, method).unwrap_or_else(|| panic!("{method} {path}: the handler declares another method"));
    if !need.is_open() {
        let either = [BEARER, COOKIE].into_iter().filter(|name| *name == COOKIE || need != Need::Session);
        let either = either.map(|name| SecurityRequirement::new::<_, [&str; 0], &str>(name, []));
        operation.security = Some(either.collect());
    }
    if rule.is_fresh {
        append(operation, "A session must have confirmed its password within the last ten minutes.");
    }
    if let Need::Ability(ability) | Need::Operator(ability) = need {
        let whose = if matches!(need, Need::Operator(_)) { " and a person who runs the installation" } else { "" };
        append(operation, &format!("Needs the ability `{}`{whose}.", ability.as_str()));
    }
    if need.is_of_operator() {
        append(operation, "On the operator's listener (`operator.listen`) alone.");
    }
    let is_page = is_page(operation);
    let repeated = if is_repeatable(method, path, need) { make_repeatable(operation) } else { Vec::new() };
    let answers = repeated.into_iter().chain(of_caller(need, method)).chain(of_request(operation, method, path));
    for (status, text) in answers {
        let (kind, schema) = match is_page {
            true => ("text/html", String::schema()),
            false => ("application/json", RefOr::Ref(Ref::from_schema_name(ErrorBody::name()))),
        };
        let body = ResponseBuilder::new().description(text).content(kind, Content::new(Some(schema)));
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(body.build()));
    }
}

/// A status, and what it means where the handler says nothing else.
type Known = (&'static str, &'static str);

/// Adds the header that makes a repeat harmless, and tells what it can be answered with.
fn make_repeatable(operation: &mut Operation) -> Vec<Known> {
    let schema = ObjectBuilder::new().schema_type(Type::String).max_length(Some(255)).build();
    let text = "Makes a repeat harmless: within 24 hours the same key with the same request gets the first answer, with \
                `Idempotent-Replayed: true`; with another request it is a 422.";
    let key = ParameterBuilder::new().name("Idempotency-Key").parameter_in(ParameterIn::Header);
    let key = key.description(Some(text)).schema(Some(schema)).build();
    operation.parameters.get_or_insert_default().push(RefOr::T(key));
    vec![
        ("400", "The body or the `Idempotency-Key` is malformed."),
        ("409", "The state does not allow it, or the first request with this key is still under way."),
        ("422", "A field is wrong, or the key was used for another request."),
    ]
}

/// What can be wrong with whoever asks.
fn of_caller(need: Need, method: &str) -> Vec<Known> {
    let mut answers = Vec::new();
    if !need.is_open() {
        answers.push(("401", "No valid token, and no session."));
        answers.push(("429", "Too many requests; see `Retry-After`."));
        if method != "GET" {
            answers.push(("415", "The body is of a type that this call does not read."));
        }
    }
    let refused = match need {
        Need::Public | Need::Metrics => return answers,
        Need::SameOrigin => "Sent from another site.",
        Need::AnyToken | Need::Session => "A session's write from another site, or one that needs a fresh log-in.",
        Need::Ability(_) | Need::Operator(_) => {
            "The token lacks the ability, or the session is from another site or not fresh."
        }
    };
    answers.push(("403", refused));
    answers
}

/// What can be wrong with what is asked, and with us.
fn of_request(operation: &Operation, method: &str, path: &str) -> Vec<Known> {
    let mut answers = vec![
        ("500", "Our fault; the message has an id for the operator."),
        ("414", "The address is longer than 8 KiB."),
        ("431", "There are more than 100 headers, or more than 32 KiB of them."),
        ("503", "The database, or a worker that is needed, does not answer at the moment."),
        ("504", "The answer did not begin in time; whether anything was done must be read."),
    ];
    if operation.request_body.is_some() {
        answers.extend([
            ("400", "The body is not what its `Content-Type` says."),
            ("408", "The body did not arrive in time."),
            ("413", "The body is larger than the operator allows (`http.max_body_bytes`)."),
            ("415", "The body is of a type that this call does not read."),
            ("422", "A field is missing or not valid; `errors` names each."),
        ]);
    }
    if method == "POST" && operation.responses.responses.contains_key("201") {
        answers.push(("409", "It cannot be made as things are: a limit of the team is reached, for one."));
    }
    if is_page(operation) && (operation.request_body.is_some() || operation.parameters.is_some()) {
        answers.extend([("403", "Sent from another site."), ("429", "Too many tries; see `Retry-After`.")]);
    }
    if operation.parameters.iter().flatten().any(is_query) {
        answers.push(("422", "A value of the query is not known; `errors` names it."));
    }
    if path.contains('{') {
        answers.push(("404", "There is no such thing, or it is another team's: one answer for both."));
    }
    answers
}

/// Whether it answers people, whatever it answers.
fn is_page(operation: &Operation) -> bool {
    let answers = operation.responses.responses.values();
    let mut contents = answers.filter_map(|answer| match answer {
        RefOr::T(answer) => Some(&answer.content),
        RefOr::Ref(_) => None,
    });
    contents.any(|content| content.contains_key("text/html"))
}

fn is_query(parameter: &RefOr<Parameter>) -> bool {
    matches!(parameter, RefOr::T(parameter) if parameter.parameter_in == ParameterIn::Query)
}

/// One more paragraph of an operation's description.
fn append(operation: &mut Operation, sentence: &str) {
    let text = operation.description.take().unwrap_or_default();
    operation.description = Some(format!("{text}\n\n{sentence}").trim().to_owned());
}

fn operation<'a>(item: &'a mut PathItem, method: &str) -> Option<&'a mut Operation> {
    match method {
        "GET" => item.get.as_mut(),
        "POST" => item.post.as_mut(),
        "PUT" => item.put.as_mut(),
        "PATCH" => item.patch.as_mut(),
        "DELETE" => item.delete.as_mut(),
        _ => None,
    }
}

/// Title, version and the way to log in.
pub(super) fn finish(mut document: OpenApi) -> OpenApi {
    let mut info = Info::new("Holdfast", env!("CARGO_PKG_VERSION"));
    info.description = Some("Backups of remote servers, verified, and given back.".to_owned());
    info.license = Some(License::new("MIT"));
    document.info = info;
    let components = document.components.get_or_insert_with(Components::new);
    components.schemas.insert(ErrorBody::name().into_owned(), ErrorBody::schema());
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    components.add_security_scheme(BEARER, bearer);
    let cookie = ApiKeyValue::with_description(
        "holdfast_session",
        "Set by `POST /api/auth/login`; `__Host-holdfast_session` where the installation is reached over TLS. A write needs a page of the same origin.",
    );
    components.add_security_scheme(COOKIE, SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    complete::complete(&mut document);
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_can_fail_with_our_body() {
        let document = crate::openapi();
        for (path, item) in &document.paths.paths {
            let mut item = item.clone();
            for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
                if let Some(operation) = operation(&mut item, method) {
                    assert!(operation.responses.responses.contains_key("500"), "{method} {path}");
                    assert!(operation.summary.is_some(), "{method} {path} says nothing of itself");
                }
            }
        }
    }
}

//! What every operation of the OpenAPI document has in common: written once here, not in every handler.

use super::ErrorBody;
use crate::extract::Need;
use crate::extract::authorized::Rule;
use crate::idempotency::is_repeatable;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn, PathItem, Paths};
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
    let mut answers = vec![("500", "Our fault; the message has an id for the operator.")];
    if !need.is_open() {
        let either = [BEARER, COOKIE].into_iter().filter(|name| *name == COOKIE || need != Need::Session);
        let either = either.map(|name| SecurityRequirement::new::<_, [&str; 0], &str>(name, []));
        operation.security = Some(either.collect());
        answers.push(("401", "No valid token, and no session."));
        answers.push(("403", "A session's write from another site, or one that needs a fresh log-in."));
        answers.push(("429", "Too many requests; see `Retry-After`."));
    }
    if need == Need::SameOrigin {
        answers.push(("403", "Sent from another site."));
    }
    if rule.is_fresh {
        append(operation, "A session must have confirmed its password within the last ten minutes.");
    }
    if let Need::Ability(ability) | Need::Operator(ability) = need {
        let whose = if matches!(need, Need::Operator(_)) { " and a person who runs the installation" } else { "" };
        append(operation, &format!("Needs the ability `{}`{whose}.", ability.as_str()));
        answers.retain(|(status, _)| *status != "403");
        answers.push(("403", "The token lacks the ability, or the session is from another site or not fresh."));
    }
    if need.is_of_operator() {
        append(operation, "On the operator's listener (`operator.listen`) alone.");
    }
    if path.contains('{') {
        answers.push(("404", "There is no such thing, or it is another team's."));
    }
    if is_repeatable(method, path, need) {
        let schema = ObjectBuilder::new().schema_type(Type::String).max_length(Some(255)).build();
        let text = "Makes a repeat harmless: within 24 hours the same key with the same request gets the first answer, with \
                    `Idempotent-Replayed: true`; with another request it is a 422.";
        let key = ParameterBuilder::new().name("Idempotency-Key").parameter_in(ParameterIn::Header);
        let key = key.description(Some(text)).schema(Some(schema)).build();
        operation.parameters.get_or_insert_default().push(RefOr::T(key));
        answers.push(("400", "The body or the `Idempotency-Key` is malformed."));
        answers.push(("409", "The state does not allow it, or the first request with this key is still under way."));
        answers.push(("422", "A field is wrong, or the key was used for another request."));
    }
    for (status, text) in answers {
        let reference = RefOr::Ref(Ref::from_schema_name(ErrorBody::name()));
        let body = ResponseBuilder::new().description(text).content("application/json", Content::new(Some(reference)));
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| RefOr::T(body.build()));
    }
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

//! Whatever any test of this crate asks, the answer's status must be one that the document knows of that operation.

use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::OnceLock;

/// An operation of the document: method, path and statuses.
type Operation = (String, Vec<String>, BTreeSet<u16>);

fn operations() -> &'static [Operation] {
    static OPERATIONS: OnceLock<Vec<Operation>> = OnceLock::new();
    OPERATIONS.get_or_init(|| {
        let document = serde_json::to_value(crate::openapi()).unwrap();
        let mut found = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let statuses = operation["responses"].as_object().unwrap().keys().map(|status| status.parse().unwrap());
                found.push((method.to_uppercase(), parts(path), statuses.collect()));
            }
        }
        found
    })
}

fn parts(path: &str) -> Vec<String> {
    path.trim_matches('/').split('/').map(str::to_owned).collect()
}

/// Panics where the operation behind `method` and `path` is known and `status` is not. Where two paths match, the one with
/// fewer parameters is meant.
pub(crate) fn check(method: &str, path: &str, status: u16, body: &[u8]) {
    let asked = parts(path);
    let matches = |known: &[String]| {
        known.len() == asked.len()
            && known.iter().zip(&asked).all(|(known, asked)| known.starts_with('{') || known == asked)
    };
    let found = operations().iter().filter(|(known, path, _)| known == method && matches(path));
    let found = found.min_by_key(|(_, path, _)| path.iter().filter(|part| part.starts_with('{')).count());
    let Some((_, _, statuses)) = found else { return };
    let text = String::from_utf8_lossy(body);
    assert!(
        statuses.contains(&status),
        "{method} {path} answers {status}, of which the document knows nothing: {text}"
    );
}

#[test]
fn a_status_that_is_not_in_the_document_is_found() {
    check("GET", "/api/backup-tasks/upcoming", 200, b"");
    check("GET", "/api/nothing/of/the/kind", 418, b"");
    let found = std::panic::catch_unwind(|| check("GET", "/api/tags/7", 418, b""));
    assert!(found.is_err());
    assert_eq!(
        serde_json::to_value(crate::openapi()).unwrap()["paths"]["/api/tags/{id}"]["get"]["responses"]["418"],
        Value::Null
    );
}

//! How an answer is held against a sample of page 003's product: what the sample has must be there, equal and of its
//! type. Objects may have more keys, because no client of that product looks at keys that it does not know.

use crate::testing::{Answer, App};
use chrono::{DateTime, Utc};
use serde_json::Value;

/// Panics at the first place where `answer` lacks or changes something of `sample`.
pub(super) fn assert_has(answer: &Value, sample: &Value) {
    compare(answer, sample, "");
}

fn compare(answer: &Value, sample: &Value, place: &str) {
    match (answer, sample) {
        (Value::Object(has), Value::Object(wanted)) => {
            for (key, value) in wanted {
                let found = has.get(key).unwrap_or_else(|| panic!("{place}/{key} is missing in {answer}"));
                compare(found, value, &format!("{place}/{key}"));
            }
        }
        (Value::Array(has), Value::Array(wanted)) => {
            assert_eq!(has.len(), wanted.len(), "{place}: {answer}");
            for (position, (found, value)) in has.iter().zip(wanted).enumerate() {
                compare(found, value, &format!("{place}/{position}"));
            }
        }
        _ => assert_eq!(answer, sample, "{place}"),
    }
}

/// The headers that every answer with a body has under `/api`, and the one that none has.
pub(super) fn assert_headers(answer: &Answer) {
    let header = |name: &str| answer.headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!(header("content-type"), Some("application/json"));
    assert_eq!(header("cache-control"), Some("no-store, private"));
    assert_eq!(header("x-content-type-options"), Some("nosniff"));
    assert_eq!(header("set-cookie"), None);
}

/// The fields of `errors` in the order of the text.
pub(super) fn error_fields(answer: &Answer) -> Vec<String> {
    let text = String::from_utf8(answer.bytes.clone()).unwrap();
    let errors = answer.json()["errors"].as_object().unwrap().clone();
    let place = |field: &String| text.find(&format!("\"{field}\":[")).unwrap();
    let mut fields: Vec<String> = errors.keys().cloned().collect();
    fields.sort_by_key(place);
    fields
}

/// Sets the clock, forwards or back.
pub(super) fn set_clock(app: &App, to: &str) {
    let to: DateTime<Utc> = to.parse().unwrap();
    app.pass(to - app.now());
}

#[test]
fn a_missing_key_another_value_and_a_shorter_list_are_seen() {
    use serde_json::json;
    let sample = json!({"a": {"b": [1, null]}});
    assert_has(&json!({"a": {"b": [1, null], "more": 1}, "c": 2}), &sample);
    for other in
        [json!({"a": {}}), json!({"a": {"b": [1]}}), json!({"a": {"b": [1, 0]}}), json!({"a": {"b": ["1", null]}})]
    {
        assert!(std::panic::catch_unwind(|| assert_has(&other, &sample)).is_err(), "{other}");
    }
}

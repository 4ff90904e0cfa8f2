//! Coercion as the peer does it, and what is refused.

use super::Presence::{Optional, Required};
use super::*;
use serde_json::json;

fn fields(value: Value) -> Fields {
    let Value::Object(map) = value else { panic!("an object") };
    Fields::new(map)
}

#[test]
fn integers_are_coerced_as_the_peer_does() {
    for (value, expected) in [
        (json!(5), Some(5)),
        (json!(5.0), Some(5)),
        (json!("5"), Some(5)),
        (json!("+22"), Some(22)),
        (json!(" 22 "), Some(22)),
        (json!(true), Some(1)),
        (json!("22.0"), None),
        (json!("007"), None),
        (json!(5.5), None),
        (json!(false), None),
        (json!([1]), None),
        (json!(1e300), None),
    ] {
        assert_eq!(fields(json!({"n": value})).integer("n", Required), expected, "{value}");
    }
}

#[test]
fn booleans_and_strings_are_not_guessed() {
    for (value, expected) in
        [(json!("1"), Some(true)), (json!(0), Some(false)), (json!("true"), None), (json!("yes"), None)]
    {
        assert_eq!(fields(json!({"b": value})).boolean("b", Required), expected, "{value}");
    }
    assert_eq!(fields(json!({"s": 5})).string("s", Required), None);
}

#[test]
fn texts_are_trimmed_and_empty_is_null_but_passwords_keep_their_spaces() {
    let mut read = fields(json!({"label": " a ", "description": "", "password": " p "}));
    assert_eq!(read.string("label", Required).as_deref(), Some("a"));
    assert_eq!(read.text("description", Optional), None);
    assert_eq!(read.secret("password", Required, false).as_deref(), Some(" p "));
    assert!(read.finish().is_ok());
}

#[test]
fn dangerous_characters_are_refused() {
    for bad in ["a\0b", "a\u{202e}b", "a\nb", "\u{9b}x"] {
        let mut read = fields(json!({"label": bad}));
        assert_eq!(read.string("label", Required), None, "{bad:?}");
        assert!(read.finish().is_err());
    }
}

#[test]
fn an_update_leaves_absent_fields_alone_and_measures_those_that_are_sent() {
    let mut read = fields(json!({"label": null})).in_mode(Mode::Update);
    read.string("label", Required);
    read.integer("port", Required);
    assert!(read.failed("label") && !read.failed("port"));
}

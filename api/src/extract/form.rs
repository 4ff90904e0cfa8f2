//! Urlencoded and multipart bodies as the JSON object they stand for: `a=1&b[c]=2&d[]=3&e[0]=4`. Bounded in depth and
//! number, so that a small body cannot become a large structure.

use serde_json::{Map, Value};

const MAX_DEPTH: usize = 4;
pub(super) const MAX_FIELDS: usize = 1_000;

/// The object of urlencoded `bytes`; none where it is no such text or too deep or too long.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<Map<String, Value>> {
    let mut map = Map::new();
    let mut count = 0;
    for (name, value) in form_urlencoded::parse(bytes) {
        count += 1;
        if count > MAX_FIELDS {
            return None;
        }
        insert(&mut map, &name, value.into_owned())?;
    }
    Some(lists(map))
}

/// Whether `bytes` look like a form: a known client sends one labelled as JSON.
#[must_use]
pub fn looks_like_one(bytes: &[u8]) -> bool {
    let name_end = bytes.iter().position(|b| *b == b'=').unwrap_or(0);
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'[' | b']' | b'%' | b'+');
    name_end > 0 && bytes.first().is_some_and(u8::is_ascii_alphabetic) && bytes[..name_end].iter().all(is_name)
}

/// Puts `value` at `name`, which may be `a`, `a[b][c]` or `a[]`. A later value replaces an earlier one.
pub(super) fn insert(map: &mut Map<String, Value>, name: &str, value: String) -> Option<()> {
    let mut keys = vec![];
    let (first, mut rest) = match name.find('[') {
        Some(at) if at > 0 && name.ends_with(']') => (&name[..at], &name[at..]),
        _ => (name, ""),
    };
    keys.push(first.to_owned());
    while let Some(inner) = rest.strip_prefix('[') {
        let end = inner.find(']')?;
        keys.push(inner[..end].to_owned());
        rest = &inner[end + 1..];
    }
    if !rest.is_empty() || keys.len() > MAX_DEPTH {
        return None;
    }
    let last = keys.pop()?;
    let mut place = map;
    for key in keys {
        let next = place.entry(key).or_insert_with(|| Value::Object(Map::new()));
        if !next.is_object() {
            *next = Value::Object(Map::new());
        }
        place = next.as_object_mut()?;
    }
    let key = if last.is_empty() { format!("{:09}", place.len()) } else { last };
    place.insert(key, Value::String(value));
    Some(())
}

/// Objects below the top whose keys are all numbers become lists in the order of the keys.
pub(super) fn lists(map: Map<String, Value>) -> Map<String, Value> {
    map.into_iter().map(|(key, value)| (key, list(value))).collect()
}

fn list(value: Value) -> Value {
    let Value::Object(map) = value else { return value };
    let mut items: Vec<(u64, Value)> = Vec::with_capacity(map.len());
    let is_list = !map.is_empty() && map.keys().all(|key| key.parse::<u64>().is_ok());
    if !is_list {
        return Value::Object(lists(map));
    }
    for (key, value) in map {
        items.push((key.parse().unwrap_or(u64::MAX), list(value)));
    }
    items.sort_by_key(|(position, _)| *position);
    Value::Array(items.into_iter().map(|(_, value)| value).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parsed(text: &str) -> Value {
        Value::Object(parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn brackets_become_objects_and_lists() {
        assert_eq!(
            parsed("label=a+b%26&source[paths][]=/x&source[paths][]=/y&ids[1]=2&ids[0]=1&n="),
            json!({"label": "a b&", "source": {"paths": ["/x", "/y"]}, "ids": ["1", "2"], "n": ""})
        );
    }

    #[test]
    fn what_is_too_deep_or_broken_is_refused() {
        assert!(parse(b"a[b][c][d][e]=1").is_none());
        assert!(parse(b"a[b=1]").is_some_and(|map| map.contains_key("a[b")), "an unclosed bracket is part of a name");
        assert!(parse("x=1&".repeat(1_001).as_bytes()).is_none());
    }

    #[test]
    fn json_does_not_look_like_a_form() {
        assert!(looks_like_one(b"label=x&port=22"));
        for json in [&b"{\"a\":\"b=c\"}"[..], b"[1]", b"\"a=b\"", b"{broken=", b"", b"nonsense"] {
            assert!(!looks_like_one(json));
        }
    }
}

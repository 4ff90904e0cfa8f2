//! The reference of all keys (`docs/configuration.md`), made from the comments of `default.toml` and from what the
//! code allows, so that it cannot say something else than the code.

use crate::layers::{DEFAULT_TOML, ENV_PREFIX};
use crate::reader::Reader;
use std::collections::BTreeMap;
use std::fmt::Write;

const HEAD: &str = "# Configuration

This file is made from `config/default.toml` and the code that reads it; `HOLDFAST_BLESS=1 cargo test -p holdfast-config`
writes it anew.

Values come from the embedded defaults, then from the file given with `--config`, then from environment variables;
the later wins. Lists are separated by commas in the environment. Durations are seconds and may have decimals. An
unknown key is an error, and `holdfast check-config` shows every error at once. Secrets have no key: a key names the
file that holds one. The database's address is `DATABASE_URL`.
";

/// The text of `docs/configuration.md`.
#[must_use]
pub fn render() -> String {
    let mut reader = Reader::new(crate::layers::collect(None, std::iter::empty()).0, Vec::new());
    let _ = crate::Config::read(&mut reader);
    let mut text = HEAD.to_owned();
    let mut section = String::new();
    let mut comment: Vec<&str> = Vec::new();
    for line in DEFAULT_TOML.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_owned();
            let about = comment.join(" ");
            let _ = write!(text, "\n## `{section}`\n\n{about}\n");
            comment.clear();
        } else if let Some((key, default)) = key_line(line) {
            text.push_str(&entry(reader.known(), &section, key, default, &comment.join(" ")));
            comment.clear();
        } else if let Some(about) = line.strip_prefix("# ") {
            comment.push(about);
        } else {
            comment.clear();
        }
    }
    text
}

/// `key = value`, or `# key = ""` for one that has no default.
fn key_line(line: &str) -> Option<(&str, Option<&str>)> {
    let is_key = |key: &str| !key.is_empty() && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if let Some((key, _)) = line.strip_prefix("# ").and_then(|rest| rest.split_once(" = \"\"")) {
        return is_key(key).then_some((key, None));
    }
    let (key, value) = line.split_once(" = ")?;
    is_key(key).then_some((key, Some(value)))
}

fn entry(known: &BTreeMap<String, String>, section: &str, key: &str, default: Option<&str>, about: &str) -> String {
    let path = format!("{section}.{key}");
    let allowed = known.get(&path).map_or("(not read by the code)", String::as_str);
    let variable = format!("{ENV_PREFIX}{}__{}", section.to_ascii_uppercase(), key.to_ascii_uppercase());
    let default = default.map_or("none".to_owned(), |value| format!("`{value}`"));
    format!("\n### `{path}`\n\n{about}\n\nDefault: {default}. Allowed: {allowed}. Variable: `{variable}`.\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn every_key_of_the_code_stands_in_the_defaults_and_the_other_way_round() {
        let mut reader = Reader::new(crate::layers::collect(None, std::iter::empty()).0, Vec::new());
        let _ = crate::Config::read(&mut reader);
        let text = render();
        assert!(!text.contains("(not read by the code)"), "{text}");
        for key in reader.known().keys() {
            assert!(text.contains(&format!("### `{key}`\n")), "{key} is missing in default.toml");
        }
    }

    #[test]
    fn the_committed_reference_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
        if std::env::var_os("HOLDFAST_BLESS").is_some() {
            std::fs::write(&path, render()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), render(), "run with HOLDFAST_BLESS=1");
    }
}

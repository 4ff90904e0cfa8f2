//! The layers as a flat map `section.key` → value and where it came from. Nothing is interpreted here.

use crate::error::{ConfigError, Origin};
use std::collections::BTreeMap;
use std::path::Path;

pub(crate) const DEFAULT_TOML: &str = include_str!("../default.toml");
pub(crate) const ENV_PREFIX: &str = "HOLDFAST__";
/// A configuration of this size is another file.
const FILE_MAX_BYTES: u64 = 1024 * 1024;

/// A value as it was written.
#[derive(Clone, Debug)]
pub(crate) enum Raw {
    Toml(toml::Value),
    Text(String),
}

impl std::fmt::Display for Raw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN_CHARS: usize = 80;
        let text = match self {
            Self::Toml(value) => value.to_string(),
            Self::Text(text) => format!("{text:?}"),
        };
        let shown: String = text.chars().take(SHOWN_CHARS).collect();
        let cut = if shown.len() < text.len() { "…" } else { "" };
        write!(f, "{shown}{cut}")
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub raw: Raw,
    pub origin: Origin,
}

pub(crate) type Layers = BTreeMap<String, Entry>;

pub(crate) fn collect(file: Option<&Path>, env: impl Iterator<Item = (String, String)>) -> (Layers, Vec<ConfigError>) {
    let mut layers = Layers::new();
    let mut errors = Vec::new();
    let defaults = DEFAULT_TOML.parse().expect("the embedded defaults are valid TOML: a test parses them");
    add_table(&mut layers, defaults, &Origin::Default);
    if let Some(path) = file {
        match read_file(path) {
            Ok(table) => add_table(&mut layers, table, &Origin::File(path.to_owned())),
            Err(error) => errors.push(error),
        }
    }
    for (name, value) in env {
        let Some(rest) = name.strip_prefix(ENV_PREFIX) else { continue };
        let key = rest.to_ascii_lowercase().replace("__", ".");
        layers.insert(key, Entry { raw: Raw::Text(value), origin: Origin::Env(name) });
    }
    (layers, errors)
}

fn read_file(path: &Path) -> Result<toml::Table, ConfigError> {
    let error = |reason: String| ConfigError::File { path: path.to_owned(), reason };
    let size = std::fs::metadata(path).map_err(|e| error(e.to_string()))?.len();
    if size > FILE_MAX_BYTES {
        return Err(error(format!("it has {size} bytes and cannot be a configuration file")));
    }
    let text = std::fs::read_to_string(path).map_err(|e| error(e.to_string()))?;
    text.parse().map_err(|e: toml::de::Error| error(e.to_string().trim_end().to_owned()))
}

fn add_table(layers: &mut Layers, table: toml::Table, origin: &Origin) {
    for (section, value) in table {
        match value {
            toml::Value::Table(keys) => {
                for (key, value) in keys {
                    let entry = Entry { raw: Raw::Toml(value), origin: origin.clone() };
                    layers.insert(format!("{section}.{key}"), entry);
                }
            }
            other => {
                layers.insert(section, Entry { raw: Raw::Toml(other), origin: origin.clone() });
            }
        }
    }
}

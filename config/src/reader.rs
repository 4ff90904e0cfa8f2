//! Reads typed values out of the layers and gathers what is wrong. The list of known keys is made by reading, so that
//! a key cannot be read and yet be called unknown.

use crate::error::{ConfigError, Origin};
use crate::layers::{Entry, Layers};
use crate::setting::Setting;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;

pub(crate) struct Reader {
    layers: Layers,
    errors: Vec<ConfigError>,
    /// Key → what is allowed.
    known: BTreeMap<String, String>,
}

impl Reader {
    pub(crate) fn new(layers: Layers, errors: Vec<ConfigError>) -> Self {
        Self { layers, errors, known: BTreeMap::new() }
    }

    /// A value that always has one: the defaults give it.
    pub(crate) fn required<T: Setting>(&mut self, key: &str) -> Option<T> {
        self.read(key, T::allowed(), |_| true).flatten()
    }

    /// A number or duration within `range`.
    pub(crate) fn within<T>(&mut self, key: &str, range: RangeInclusive<T>) -> Option<T>
    where
        T: Setting + PartialOrd + Shown,
    {
        let allowed = format!("{} from {} to {}", T::allowed(), range.start().shown(), range.end().shown());
        self.read(key, allowed, |value| range.contains(value)).flatten()
    }

    /// A value that may be left out; the empty text means the same. The outer option is none after an error.
    pub(crate) fn optional<T: Setting>(&mut self, key: &str) -> Option<Option<T>> {
        let is_empty = |entry: &Entry| match &entry.raw {
            crate::layers::Raw::Text(text) => text.trim().is_empty(),
            crate::layers::Raw::Toml(value) => value.as_str().is_some_and(|text| text.trim().is_empty()),
        };
        if self.layers.get(key).is_some_and(is_empty) {
            self.layers.remove(key);
        }
        self.read(key, T::allowed(), |_| true)
    }

    /// Reports that the value of `key` does not fit another one.
    pub(crate) fn conflict(&mut self, key: &str, problem: impl Display) {
        let origin = self.layers.get(key).map_or(Origin::Default, |entry| entry.origin.clone());
        self.errors.push(ConfigError::Conflict { key: key.to_owned(), origin, problem: problem.to_string() });
    }

    /// The errors, those of unknown keys included.
    pub(crate) fn finish(mut self) -> Vec<ConfigError> {
        for (key, entry) in &self.layers {
            if !self.known.contains_key(key) {
                let (origin, known) = (entry.origin.clone(), self.what_is_known(key));
                self.errors.push(ConfigError::UnknownKey { key: key.clone(), origin, known });
            }
        }
        self.errors
    }

    /// Key → what is allowed.
    pub(crate) fn known(&self) -> &BTreeMap<String, String> {
        &self.known
    }

    fn read<T: Setting>(&mut self, key: &str, allowed: String, fits: impl Fn(&T) -> bool) -> Option<Option<T>> {
        self.known.insert(key.to_owned(), allowed.clone());
        let Some(entry) = self.layers.get(key) else { return Some(None) };
        if let Some(value) = T::from_raw(&entry.raw).filter(|value| fits(value)) {
            return Some(Some(value));
        }
        let (origin, value) = (entry.origin.clone(), entry.raw.to_string());
        self.errors.push(ConfigError::Invalid { key: key.to_owned(), origin, value, allowed });
        None
    }

    fn what_is_known(&self, key: &str) -> String {
        let section = key.split('.').next().unwrap_or_default();
        let prefix = format!("{section}.");
        let siblings: Vec<&str> = self.known.keys().filter_map(|k| k.strip_prefix(&prefix)).collect();
        if siblings.is_empty() {
            let mut sections: Vec<&str> = self.known.keys().filter_map(|k| k.split('.').next()).collect();
            sections.dedup();
            return format!("the sections are {}", sections.join(", "));
        }
        format!("`{section}` has {}", siblings.join(", "))
    }
}

/// How the end of a range is told.
pub(crate) trait Shown {
    fn shown(&self) -> String;
}

impl Shown for u32 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for u64 {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for std::time::Duration {
    fn shown(&self) -> String {
        self.as_secs_f64().to_string()
    }
}

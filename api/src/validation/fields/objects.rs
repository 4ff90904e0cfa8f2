//! Objects within a body. Their errors come back under the name of the field that they stand in.

use super::{Fields, Mode, Presence};
use crate::validation::texts;
use serde_json::{Map, Value};

impl Fields {
    /// An object within the body, read by `read`; its errors come back under `name.…`.
    pub fn object<T>(&mut self, name: &str, presence: Presence, read: impl FnOnce(&mut Fields) -> T) -> Option<T> {
        let map = self.entries(name, presence)?;
        Some(self.within(format!("{}.", self.key(name)), self.mode, map, read))
    }

    /// A list of at most `max` objects, each read by `read`; the errors of the first come back under `name.0.…`. A list is
    /// replaced as a whole, so each of its objects is read as for creating one.
    pub fn objects<T>(
        &mut self,
        name: &str,
        presence: Presence,
        max: usize,
        read: impl Fn(&mut Fields) -> T,
    ) -> Option<Vec<T>> {
        let items = self.items(name, presence, max)?;
        let mut found = Vec::with_capacity(items.len());
        for (position, item) in items.into_iter().enumerate() {
            let key = format!("{}.{position}", self.key(name));
            match item {
                Value::Object(map) => found.push(self.within(format!("{key}."), Mode::Create, map, &read)),
                _ => self.errors.push(&key, texts::must_be(&key, "an object")),
            }
        }
        Some(found)
    }

    /// An object whose keys nobody knows beforehand.
    pub fn entries(&mut self, name: &str, presence: Presence) -> Option<Map<String, Value>> {
        match self.value(name, presence, false)? {
            Value::Object(map) => Some(map),
            _ => {
                let key = self.key(name);
                self.errors.push(&key, texts::must_be(&key, "an object"));
                None
            }
        }
    }

    /// The field's value as it came, whatever it is.
    pub fn raw(&mut self, name: &str) -> Option<Value> {
        self.order.push(self.key(name));
        self.known.insert(name.to_owned());
        self.map.get(name).cloned()
    }

    fn within<T>(
        &mut self,
        prefix: String,
        mode: Mode,
        map: Map<String, Value>,
        read: impl FnOnce(&mut Fields) -> T,
    ) -> T {
        let mut inner = Fields { prefix, mode, ..Fields::new(map) };
        let result = read(&mut inner);
        self.order.append(&mut inner.order);
        for (field, sentences) in inner.errors.0 {
            for sentence in sentences {
                self.errors.push(&field, sentence);
            }
        }
        result
    }
}

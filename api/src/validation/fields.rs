//! The raw fields of one body. A value that cannot be what a field wants is noted and read as absent, so that the rest
//! of the body is still looked at.

use super::texts;
use crate::problem::{FieldErrors, Problem};
use holdfast_domain::text::{self, TextProblem, TextRule};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use validator::Validate;

mod objects;

/// Whether absent fields may be absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Required fields are required.
    Create,
    /// Every field may be absent, and then stays as it is; one that is sent must satisfy its whole rule.
    Update,
}

/// Whether a field may be null or absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Neither.
    Required,
    /// Both.
    Optional,
}

/// Characters only: how long a text may be is told by the struct's own rules.
const LINE: TextRule = TextRule::line(65_536);

/// Raw fields, what was found wrong with them, and which were looked at.
pub struct Fields {
    map: Map<String, Value>,
    mode: Mode,
    prefix: String,
    order: Vec<String>,
    known: BTreeSet<String>,
    errors: FieldErrors,
}

impl Default for Fields {
    fn default() -> Self {
        Self::new(Map::new())
    }
}

impl Fields {
    /// Fields of a body, to be read for creating something.
    #[must_use]
    pub fn new(map: Map<String, Value>) -> Self {
        Self {
            map,
            mode: Mode::Create,
            prefix: String::new(),
            order: Vec::new(),
            known: BTreeSet::new(),
            errors: FieldErrors::default(),
        }
    }

    /// The same fields, read in another mode.
    #[must_use]
    pub fn in_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// The mode.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Whether the body has the field, null or not.
    #[must_use]
    pub fn sent(&self, name: &str) -> bool {
        self.map.contains_key(name)
    }

    /// Whether the field is null itself, and not an empty text, which forms send for what was left as it is.
    #[must_use]
    pub fn is_null(&self, name: &str) -> bool {
        self.map.get(name).is_some_and(Value::is_null)
    }

    /// Whether the body has the field with a value: neither null nor an empty or blank text.
    #[must_use]
    pub fn filled(&self, name: &str) -> bool {
        match self.map.get(name) {
            None | Some(Value::Null) => false,
            Some(Value::String(text)) => !text.trim().is_empty(),
            Some(_) => true,
        }
    }

    /// The field's text as it came, before anything is judged: for what decides whether to judge at all.
    #[must_use]
    pub fn peek_text(&self, name: &str) -> Option<String> {
        self.map.get(name).and_then(Value::as_str).map(|text| text.trim().to_owned())
    }

    /// Whether the field is exactly this text.
    #[must_use]
    pub fn is_text(&self, name: &str, text: &str) -> bool {
        self.map.get(name).and_then(Value::as_str) == Some(text)
    }

    /// Notes an error.
    pub fn fail(&mut self, name: &str, sentence: impl Into<String>) {
        let key = self.key(name);
        self.errors.push(&key, sentence.into());
    }

    /// Notes that a field is required.
    pub fn fail_required(&mut self, name: &str) {
        let key = self.key(name);
        self.errors.push(&key, texts::required(&key));
    }

    /// Whether something is wrong with the field already.
    #[must_use]
    pub fn failed(&self, name: &str) -> bool {
        let key = self.key(name);
        self.errors.0.iter().any(|(field, _)| *field == key)
    }

    /// The value: trimmed unless `exact`, empty texts as null; none with an error noted where it is required.
    fn value(&mut self, name: &str, presence: Presence, exact: bool) -> Option<Value> {
        let key = self.key(name);
        self.order.push(key.clone());
        self.known.insert(name.to_owned());
        let value = match self.map.get(name) {
            Some(Value::String(text)) => {
                let text = if exact { text.as_str() } else { text.trim() };
                (!text.is_empty()).then(|| Value::String(text.to_owned()))
            }
            Some(Value::Null) | None => None,
            Some(other) => Some(other.clone()),
        };
        let may_be_absent = self.mode == Mode::Update && !self.map.contains_key(name);
        if value.is_none() && presence == Presence::Required && !may_be_absent {
            self.errors.push(&key, texts::required(&key));
        }
        value
    }

    fn raw_text(&mut self, name: &str, presence: Presence, is_exact: bool) -> Option<String> {
        match self.value(name, presence, is_exact)? {
            Value::String(text) => Some(text),
            _ => {
                let key = self.key(name);
                self.errors.push(&key, texts::must_be(&key, "a string"));
                None
            }
        }
    }

    fn ruled(&mut self, name: &str, presence: Presence, rule: TextRule) -> Option<String> {
        let raw = self.raw_text(name, presence, false)?;
        let key = self.key(name);
        match rule.canonical(&raw) {
            Ok(text) => Some(text),
            Err(TextProblem::TooManyChars(max)) => {
                self.errors.push(&key, texts::too_long(&key, max));
                None
            }
            Err(problem) => {
                self.errors.push(&key, texts::invalid(&key, &problem));
                None
            }
        }
    }

    /// One line of text in its canonical form. How long it may be is a rule of the struct.
    pub fn string(&mut self, name: &str, presence: Presence) -> Option<String> {
        self.ruled(name, presence, LINE)
    }

    /// Several lines of text in their canonical form.
    pub fn text(&mut self, name: &str, presence: Presence) -> Option<String> {
        self.ruled(name, presence, text::DESCRIPTION)
    }

    /// A text that `parse` understands, in the form that it gives; handed over exactly as it came.
    pub fn parsed<E: std::fmt::Display>(
        &mut self,
        name: &str,
        presence: Presence,
        parse: impl FnOnce(&str) -> Result<String, E>,
    ) -> Option<String> {
        let raw = self.raw_text(name, presence, true)?;
        parse(&raw).map_err(|problem| self.fail_invalid(name, &problem)).ok()
    }

    /// Notes that a field is invalid, and why.
    pub fn fail_invalid(&mut self, name: &str, problem: &dyn std::fmt::Display) {
        let key = self.key(name);
        self.errors.push(&key, texts::invalid(&key, problem));
    }

    /// A secret, exactly as it came; line ends only where `has_lines`.
    pub fn secret(&mut self, name: &str, presence: Presence, has_lines: bool) -> Option<String> {
        let raw = self.raw_text(name, presence, true)?;
        if raw.contains('\0') || (!has_lines && raw.contains(['\n', '\r'])) {
            self.fail_invalid(name, &"it has a line end or a NUL character");
            return None;
        }
        Some(raw)
    }

    /// One of `known`.
    pub fn one_of(&mut self, name: &str, presence: Presence, known: &[&str]) -> Option<String> {
        let text = self.string(name, presence)?;
        if known.contains(&text.as_str()) {
            return Some(text);
        }
        let key = self.key(name);
        self.errors.push(&key, texts::selected(&key));
        None
    }

    /// A whole number: `5`, `5.0`, `"5"`, `"+22"`, `true`; not `"22.0"`, `"007"`, `5.5`.
    pub fn integer(&mut self, name: &str, presence: Presence) -> Option<i64> {
        let value = self.value(name, presence, false)?;
        let number = integer(&value);
        if number.is_none() {
            let key = self.key(name);
            self.errors.push(&key, texts::must_be(&key, "an integer"));
        }
        number
    }

    /// `true`, `false`, `1`, `0`, `"1"`, `"0"`.
    pub fn boolean(&mut self, name: &str, presence: Presence) -> Option<bool> {
        let value = self.value(name, presence, false)?;
        let truth = match &value {
            Value::Bool(truth) => Some(*truth),
            Value::Number(n) if n.as_i64() == Some(1) => Some(true),
            Value::Number(n) if n.as_i64() == Some(0) => Some(false),
            Value::String(text) if text == "1" => Some(true),
            Value::String(text) if text == "0" => Some(false),
            _ => None,
        };
        if truth.is_none() {
            let key = self.key(name);
            self.errors.push(&key, texts::must_be(&key, "true or false"));
        }
        truth
    }

    fn items(&mut self, name: &str, presence: Presence, max: usize) -> Option<Vec<Value>> {
        let value = self.value(name, presence, false)?;
        let key = self.key(name);
        match value {
            Value::Array(items) if items.len() > max => {
                let problem = format!("The {} field must not have more than {max} items.", texts::attribute(&key));
                self.errors.push(&key, problem);
                None
            }
            Value::Array(items) if items.is_empty() && presence == Presence::Required => {
                self.errors.push(&key, texts::required(&key));
                None
            }
            Value::Array(items) => Some(items),
            _ => {
                self.errors.push(&key, texts::must_be(&key, "an array"));
                None
            }
        }
    }

    /// A list of at most `max` texts that `parse` understands, in the form that it gives; handed over as they came.
    pub fn strings<E: std::fmt::Display>(
        &mut self,
        name: &str,
        presence: Presence,
        max: usize,
        parse: impl Fn(&str) -> Result<String, E>,
    ) -> Option<Vec<String>> {
        let items = self.items(name, presence, max)?;
        let mut found = Vec::with_capacity(items.len());
        for (position, item) in items.into_iter().enumerate() {
            let key = format!("{}{name}.{position}", self.prefix);
            match item {
                Value::String(text) => match parse(&text) {
                    Ok(text) => found.push(text),
                    Err(problem) => self.errors.push(&key, texts::invalid(&key, &problem)),
                },
                _ => self.errors.push(&key, texts::must_be(&key, "a string")),
            }
        }
        Some(found)
    }

    /// A list of whole numbers without repetition, at most `max` of them.
    pub fn integers(&mut self, name: &str, presence: Presence, max: usize) -> Option<Vec<i64>> {
        let items = self.items(name, presence, max)?;
        let mut numbers = Vec::with_capacity(items.len());
        for (position, item) in items.iter().enumerate() {
            match integer(item) {
                Some(number) if numbers.contains(&number) => {
                    let key = format!("{}{name}.{position}", self.prefix);
                    let problem = format!("The {} field has a duplicate value.", texts::attribute(&key));
                    self.errors.push(&key, problem);
                }
                Some(number) => numbers.push(number),
                None => {
                    let key = format!("{}{name}.{position}", self.prefix);
                    self.errors.push(&key, texts::must_be(&key, "an integer"));
                }
            }
        }
        Some(numbers)
    }

    /// Runs the struct's own rules and adds what they find. A field with an error already gets no second one of them.
    pub fn check(&mut self, body: &impl Validate) {
        let Err(found) = body.validate() else { return };
        for (field, errors) in found.field_errors() {
            if self.failed(&field) {
                continue;
            }
            let key = self.key(&field);
            for error in errors {
                self.errors.push(&key, texts::of_rule(&key, error));
            }
        }
    }

    /// Notes every field of the body that nobody looked at.
    pub fn refuse_unknown(&mut self) {
        let unknown: Vec<String> = self.map.keys().filter(|name| !self.known.contains(*name)).cloned().collect();
        for name in unknown {
            let shown = holdfast_domain::failure::printable(&name, 64);
            let key = self.key(&shown);
            self.errors.push(&key, format!("The {} field is not known here.", texts::attribute(&key)));
        }
    }

    /// The end of reading.
    ///
    /// # Errors
    /// 422 with everything that was noted, in the order in which the fields were read.
    pub fn finish(self) -> Result<(), Problem> {
        if self.errors.is_empty() {
            return Ok(());
        }
        let mut errors = self.errors;
        let position = |field: &str| self.order.iter().position(|known| known == field).unwrap_or(usize::MAX);
        errors.0.sort_by_key(|(field, _)| position(field));
        Err(Problem::validation(errors))
    }
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Bool(true) => Some(1),
        Value::Number(n) => n.as_i64().or_else(|| {
            let float = n.as_f64()?;
            // Beyond 2^53 a float is no exact integer.
            (float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0).then_some(float as i64)
        }),
        Value::String(text) => {
            let text = text.trim();
            let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
            let is_plain = !digits.is_empty()
                && digits.bytes().all(|b| b.is_ascii_digit())
                && (digits == "0" || !digits.starts_with('0'));
            is_plain.then(|| text.parse().ok()).flatten()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;

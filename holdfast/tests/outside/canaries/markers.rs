//! The markers and the forms in which they could turn up: as they are, in hex (a `bytea` in a dump), in base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use std::collections::BTreeMap;

/// Every marker by the name of its secret.
#[derive(Default)]
pub struct Markers(BTreeMap<&'static str, String>);

impl Markers {
    /// A new random marker for the secret `name`.
    pub fn fresh(&mut self, name: &'static str) -> String {
        let random: [u8; 12] = std::array::from_fn(|_| rand::random());
        self.add(name, &format!("CANARY{}", hex::encode(random)));
        self.of(name)
    }

    /// A secret that somebody else made.
    pub fn add(&mut self, name: &'static str, text: &str) {
        self.0.insert(name, text.to_owned());
    }

    /// The marker of `name`, which is made if it is not there.
    pub fn of(&mut self, name: &'static str) -> String {
        match self.0.get(name) {
            Some(text) => text.clone(),
            None => self.fresh(name),
        }
    }

    /// Every text to look for, with the secret's name.
    pub fn forms(&self) -> BTreeMap<String, &'static str> {
        let mut forms = BTreeMap::new();
        for (name, text) in &self.0 {
            forms.insert(text.clone(), *name);
            forms.insert(hex::encode(text), *name);
            // What stands before it shifts base64 by 0, 1 or 2 bytes; its ends then mix with its neighbours.
            for shift in 0..3 {
                let shifted = STANDARD_NO_PAD.encode(format!("{}{text}", "x".repeat(shift)));
                forms.insert(shifted[4..shifted.len() - 4].to_owned(), *name);
            }
        }
        forms
    }
}

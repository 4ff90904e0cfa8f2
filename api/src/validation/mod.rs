//! From raw fields to typed ones. A body is read once, in the order in which its fields are declared; each field is
//! coerced by the reference's rules (vanguard-api 1.6); then the struct's own rules run (`validator`); **every** error
//! is collected before anything is refused. References to other rows come last. Texts are Laravel's stock texts: the
//! known clients show them.

pub mod fields;
pub mod rules;
pub mod texts;

pub use fields::{Fields, Mode, Presence};

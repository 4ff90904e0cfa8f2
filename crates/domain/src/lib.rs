//! Pure rules of Holdfast: ids, states, schedules, names, abilities, the manifest.
//!
//! Nothing here may touch a clock, a file, a socket or a random source, or depend on tokio: whatever varies comes in
//! as an argument, so every rule can be tested by properties and replayed.

pub mod ability;
pub mod account_mail;
pub mod actor;
pub mod check;
pub mod destination;
pub mod digest;
pub mod failure;
pub mod host;
pub mod ids;
pub mod limits;
pub mod manifest;
pub mod names;
pub mod notification;
pub mod paths;
pub mod progress;
pub mod reachability;
pub mod restore;
pub mod retention;
pub mod run;
pub mod schedule;
pub mod script;
pub mod source;
pub mod telling;
pub mod text;
pub mod ticket;
pub mod username;
pub mod warning;

pub use ability::{Abilities, Ability};
pub use actor::Actor;
pub use failure::{Failure, FailureCode, Step};
pub use limits::{Limit, TeamLimits};

//! HTTP: the REST API and the set-up form.
//!
//! Nothing here may open a tenant's secret, connect to an address that a tenant chose, or answer differently for a
//! foreign row than for an absent one. A handler reaches rows only through [`extract::Authorized`].

mod absence_watch;
pub mod accounts;
mod audit;
mod connections;
pub mod extract;
mod head_limits;
pub mod host_keys;
mod html;
mod idempotency;
mod limits;
pub mod links;
pub mod live;
mod metrics;
pub mod problem;
pub mod relay;
pub mod routes;
mod sealing;
mod serve;
pub mod state;
mod stream_address;
pub mod stream_rules;
pub mod throttle;
mod tls;
pub mod validation;
pub mod views;
mod write_deadline;

pub use routes::listeners::{Routers, routers};
pub use routes::openapi;
pub use serve::{Listeners, Stop, serve};
pub use state::{ApiParts, ApiState, Clock};

#[cfg(test)]
mod testing;
#[cfg(test)]
mod testing_live;
#[cfg(test)]
mod tests;

//! Tests of the API as a client meets it.

mod authorization;
mod bad_input;
mod contract;
mod page_003;
mod runs;
mod secrets;
mod setup;
mod tenancy;

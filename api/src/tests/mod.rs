//! Tests of the API as a client meets it.

mod authorization;
mod bad_input;
mod contract;
mod database_restores;
mod keeping;
mod notification_streams;
mod operator;
mod own_backups;
mod page_003;
mod runs;
mod secrets;
mod sessions;
mod setup;
mod tenancy;

//! Tests of the API as a client meets it.

mod account_links;
mod authorization;
mod bad_input;
mod contract;
mod database_restores;
mod keeping;
mod lists;
mod log_in;
mod logs;
mod notification_streams;
mod operator;
mod own_backups;
mod page_003;
mod people;
mod runs;
mod secrets;
mod sessions;
mod setup;
mod stream_addresses;
mod tags;
mod task_acts;
mod tenancy;
mod tokens;
mod two_factor;
mod webhooks;

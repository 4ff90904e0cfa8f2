//! One file a section: its fields, how each is read, and what must hold between them.

pub(crate) mod absence;
pub(crate) mod accounts;
pub(crate) mod data_plane;
pub(crate) mod database;
pub(crate) mod destinations;
pub(crate) mod egress;
pub(crate) mod http;
pub(crate) mod limits;
pub(crate) mod log;
pub(crate) mod mail;
pub(crate) mod notify;
pub(crate) mod operator;
pub(crate) mod reachability;
pub(crate) mod run_logs;
pub(crate) mod schedule;
pub(crate) mod ssh;
pub(crate) mod vault;
pub(crate) mod worker;

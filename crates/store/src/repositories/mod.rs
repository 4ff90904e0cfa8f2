//! One file a table (or a table and its children). Every method is on a handle borrowed from a [`crate::TeamTx`].

pub mod tickets;
pub mod copies;
pub mod restore_execution;
pub mod server_contact;

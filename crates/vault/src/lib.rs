//! Secrets: sealing them (api) and opening them (worker), the teams' keys, passwords, tokens, tickets, and the
//! manifest's authentication code.
//!
//! What must never happen here: a secret in a `Debug`, `Display` or error text; a secret compared with `==`; a secret
//! opened without the place it was sealed for ([`SealContext`]). Opening needs an [`Opener`], which only a process
//! that was given the key file can make; the api holds a [`Sealer`], made from the public half alone.

pub mod kek;
pub mod manifest;
pub mod one_time;
pub mod password;
pub mod private_key;
pub mod recovery_kit;
pub mod seal;
pub mod team_keys;
pub mod ticket;
pub mod token;

pub use kek::{Kek, KekError, KekOrigin};
pub use seal::{KEY_VERSION, OpenError, Opener, SealContext, SealedColumn, Sealer};

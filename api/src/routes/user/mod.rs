//! The person who asks.

pub mod change_email;
pub mod change_password;
pub mod confirm_email;
pub mod show;
pub mod two_factor;
pub mod update;

//! Proving who one is. There is one way to check a password ([`log_in::check_password`]), one way to check a second
//! factor ([`second_factor::check`]) and one way to begin a session ([`log_in::log_in`]); whatever lets somebody in goes
//! through them.

pub mod guessing;
pub mod log_in;
pub mod mails;
pub mod second_factor;
pub mod settings;
pub mod visitor;

pub use settings::AccountSettings;
pub use visitor::Visitor;

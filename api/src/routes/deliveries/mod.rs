//! Messages on their way, and those that did not arrive.

pub mod list;
pub mod resend;
pub mod show;

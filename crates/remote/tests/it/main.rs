//! This crate against a real `sshd`, whole and through a link that goes wrong.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what a test saw or left out")]

mod link_faults;
mod log_in;
mod programs;
mod support;

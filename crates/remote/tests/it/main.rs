//! This crate against a real `sshd`, whole and through a link that goes wrong.

mod link_faults;
mod log_in;
mod programs;
mod support;

//! Sources against a real `sshd`: what is read, what is said of it, what comes back.

mod probing;
mod reading;
mod reading_faults;
mod restoring;
mod restoring_faults;
mod support;

//! Sources against a real `sshd`: what is read, what is said of it, what comes back.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod mariadb;
mod mariadb_faults;
mod mariadb_restoring;
mod mariadb_support;
mod postgresql;
mod probing;
mod reading;
mod reading_faults;
mod restoring;
mod restoring_faults;
mod support;

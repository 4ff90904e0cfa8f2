//! The worker against a real Postgres, a real sshd and a real disk.

#![expect(clippy::unwrap_used, reason = "in a test, what fails ends the test")]

mod absence;
mod claims;
mod closings;
mod database_link;
mod deliveries;
mod digests;
mod endings;
mod fairness;
mod harness;
mod hosts;
mod jump_hosts;
mod later_copies;
mod limits;
mod listener;
mod own_backups;
mod pings;
mod process;
mod prunes;
mod queue;
mod reachability;
mod run_logs;
mod runs;
mod schedule;
mod scripts;
mod scripts_hostile;
mod scripts_support;
mod scripts_trial;
mod several;
mod takeover;
mod taking;
mod telling;
mod telling_events;
mod telling_faults;
mod telling_limits;

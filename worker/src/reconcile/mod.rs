//! Periodic loops: each without input, idempotent and bounded, and safe to run in every worker at once. What one does
//! not finish the next round does.

pub mod absence;
pub mod account_mails;
pub mod closings;
pub mod copy_leftovers;
pub mod deliveries;
pub mod digests;
pub mod due_tasks;
pub mod leftovers;
pub mod login_failures;
pub mod owed_scripts;
pub mod prunes;
pub mod purges;
pub mod reachability;
pub mod recycle_bin;
pub mod run_logs;
pub mod stray_copies;
pub mod stray_own_backups;
pub mod stray_restores;
pub mod stray_runs;
pub mod worker_row;

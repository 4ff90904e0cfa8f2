//! What the queue makes a worker do: one file a job.

pub mod copy_backup;
pub mod execute_restore;
pub mod execute_run;
pub mod make_own_backup;
pub mod prune_task;
pub mod send_account_mail;
pub mod send_delivery;

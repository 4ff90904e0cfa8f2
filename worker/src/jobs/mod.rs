//! What the queue makes a worker do: one file a job.

pub mod execute_restore;
pub mod execute_run;

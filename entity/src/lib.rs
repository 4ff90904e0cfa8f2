//! Rows, one file a table. No logic, no `Serialize`: what a client sees is a view of the api's.
//! Only `store` imports this crate.

#![expect(missing_docs, reason = "the derive makes items of its own; columns are described in migration/src/sql")]

pub mod audit_events;
pub mod backup_copies;
pub mod backup_copy_objects;
pub mod backup_destinations;
pub mod backup_run_attempts;
pub mod backup_run_lines;
pub mod backup_run_objects;
pub mod backup_runs;
pub mod backup_streams;
pub mod backup_task_destinations;
pub mod backup_task_notification_streams;
pub mod backup_task_scripts;
pub mod backup_task_tags;
pub mod backup_task_webhooks;
pub mod backup_tasks;
pub mod backups;
pub mod deliveries;
pub mod members;
pub mod notification_streams;
pub mod own_backups;
pub mod prunes;
pub mod remote_servers;
pub mod restores;
pub mod script_secrets;
pub mod scripts;
pub mod sessions;
pub mod tags;
pub mod team_keys;
pub mod team_limits;
pub mod teams;
pub mod tickets;
pub mod tokens;
pub mod two_factors;
pub mod users;
pub mod vault_keys;
pub mod workers;

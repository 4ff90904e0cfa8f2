//! What a client sees of a row: exactly the readable fields, in the order of page 003. No secret has a field here,
//! only whether it is set.

pub mod audit_event;
pub mod backup;
pub mod backup_destination;
pub mod backup_run;
pub mod backup_task;
pub mod database;
pub mod delivery;
pub mod export;
pub mod fleet;
pub mod human_time;
pub mod keeping;
pub mod log;
pub mod notification_stream;
pub mod own_backup;
pub mod person;
pub mod remote_server;
pub mod restore;
pub mod schedule_preview;
pub mod script;
pub mod script_secret;
pub mod session;
pub mod tag;
pub mod team_limits;
pub mod time;
pub mod token;
pub mod upcoming;
pub mod user;
pub mod webhook;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `{"data": …}`
#[derive(Serialize, ToSchema)]
pub struct Data<T> {
    /// The thing.
    pub data: T,
}

/// Wraps a view.
pub fn data<T>(data: T) -> axum::Json<Data<T>> {
    axum::Json(Data { data })
}

/// `{"message": …}`
#[derive(Serialize, ToSchema)]
pub struct Message {
    /// One sentence.
    pub message: String,
}

/// What a check found.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct CheckView {
    /// Whether every step went well.
    pub ok: bool,
    /// The steps in order, up to the first that failed.
    pub steps: Vec<CheckStepView>,
}

/// One step of a check.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct CheckStepView {
    /// Of a server `resolve`, `connect`, `host_key`, `log_in`, `tools`; of a destination `open`, `write`, `read_back`,
    /// `delete`; of a notification stream `open`, `send`; `prepare` where a secret does not open.
    pub name: String,
    /// Whether it went well.
    pub ok: bool,
    /// One sentence: what was found, or what failed and what to do.
    pub message: String,
}

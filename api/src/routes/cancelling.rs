//! What cancelling a run and cancelling a restore have in common.

use crate::problem::Problem;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;

/// A cancelled run is dead on the server within ten seconds; a little longer is waited for the worker to say so.
pub const WAIT: Duration = Duration::from_secs(12);
/// How often the row is looked at meanwhile.
pub const POLL: Duration = Duration::from_millis(150);

/// How a cancel went.
#[derive(Serialize, ToSchema)]
pub struct CancelView {
    /// The run or restore.
    pub id: i64,
    /// Its state now.
    pub status: String,
    /// Whether nothing of it is alive on the server any more, as checked; null while the worker has not said so.
    #[schema(required)]
    pub process_terminated: Option<bool>,
}

/// It was over before.
pub fn already_over(thing: &str, status: &str) -> Problem {
    Problem::conflict("already_finished", format!("The {thing} is over already ({status})."))
}

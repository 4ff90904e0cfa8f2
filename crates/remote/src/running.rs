//! A program running on the server.

use crate::termination::Termination;
use bytes::Bytes;
use holdfast_domain::{Failure, FailureCode, Step};

/// What a running program did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It wrote to its standard output.
    Stdout(Bytes),
    /// It wrote to its standard error.
    Stderr(Bytes),
    /// It ended, all its output has been delivered, and this is its own exit status.
    Exited(u32),
}

/// A program running on the server.
pub struct Running {}

impl Running {
    /// The next event.
    ///
    /// # Errors
    /// `connection_lost`, `stalled`, `source_failed`.
    pub async fn next(&mut self) -> Result<Event, Failure> {
        Err(Failure::new(Step::Stream, FailureCode::Internal, "being written"))
    }

    /// Writes to its standard input.
    ///
    /// # Errors
    /// `connection_lost`, `stalled`.
    pub async fn write(&mut self, _bytes: Bytes) -> Result<(), Failure> {
        Err(Failure::new(Step::Stream, FailureCode::Internal, "being written"))
    }

    /// Ends its standard input.
    ///
    /// # Errors
    /// `connection_lost`.
    pub async fn end_input(&mut self) -> Result<(), Failure> {
        Err(Failure::new(Step::Stream, FailureCode::Internal, "being written"))
    }

    /// Ends it, and looks whether it is gone.
    pub async fn cancel(self) -> Termination {
        Termination { process_terminated: false }
    }
}

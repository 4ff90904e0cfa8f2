//! SSH spoken by the worker's own `ssh`, for servers that russh does not reach or that need the operator's SSH
//! configuration. One process for each program: no master process, which would outlive a killed worker. A fresh
//! connection starts the one command at once, so that the first program needs no second log-in.
//!
//! Nothing here may put a secret into a file, an argument or the environment, or let `ssh` read any configuration but ours.

mod agent;
mod config;
mod connect;
mod folder;
mod log;
mod process;
mod pump;

pub(crate) use connect::connect;

use crate::running::{Input, Started};
use crate::session::Timing;
use crate::{Route, failure};
use agent::Agent;
use folder::Folder;
use holdfast_domain::{Failure, FailureCode, Step};
use process::Process;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A way to a server that was seen to lead there. Dropping it ends what waits on it and removes the folder.
pub(crate) struct Line {
    /// Logged in, and waiting for its program.
    waiting: Mutex<Option<Process>>,
    next: AtomicUsize,
    place: Arc<Place>,
}

/// Everything that an `ssh` needs.
pub(super) struct Place {
    folder: Folder,
    _agent: Agent,
    route: Route,
    /// The address of the first server that the guard let pass.
    vetted: IpAddr,
    include: Option<PathBuf>,
    timing: Timing,
}

impl Line {
    /// Starts the one command, or takes the one that waits.
    pub(crate) async fn exec(&self) -> Result<Started, Failure> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut process = match waiting {
            Some(process) => process,
            None => connect::log_in(&self.place, self.next.fetch_add(1, Ordering::Relaxed), &mut Vec::new()).await?,
        };
        let said = process.until_started().await;
        if said.is_started != Some(true) {
            return Err(match said.is_started {
                Some(_) => Failure::new(Step::Start, FailureCode::SourceFailed, "the server refused to run a program."),
                None => process.lost(Step::Start),
            });
        }
        let Some((input, output)) = process.take_ends() else {
            return Err(Failure::new(Step::Start, FailureCode::Internal, "`ssh` has no standard input and output."));
        };
        Ok(Started::spawn(Input::Openssh(Some(input)), |greeting, out| {
            pump::Pump::new(process, output, greeting).run(out)
        }))
    }

    /// Why there is no more to come. A program that runs says so itself.
    pub(crate) fn lost(&self, step: Step) -> Failure {
        failure::stopped(step)
    }

    /// Ends what waits.
    pub(crate) fn end(&self) {
        drop(self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

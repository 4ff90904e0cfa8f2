//! The first line on standard error, which names the program's process.

use crate::termination::RemoteProcess;
use std::sync::{Arc, OnceLock};

/// How far into standard error the line that names the process may be (a login shell's own words come before it).
const GREETING_BYTES: usize = 16 * 1024;

/// Listens for the line.
pub(crate) struct Greeting {
    process: Arc<OnceLock<RemoteProcess>>,
    heard: Vec<u8>,
}

impl Greeting {
    /// `process` is set once the line came.
    pub(crate) fn new(process: Arc<OnceLock<RemoteProcess>>) -> Self {
        Self { process, heard: Vec::new() }
    }

    /// The next piece of standard error.
    pub(crate) fn hear(&mut self, data: &[u8]) {
        if self.process.get().is_some() || self.heard.len() >= GREETING_BYTES {
            return;
        }
        self.heard.extend_from_slice(data);
        if let Some(process) = RemoteProcess::find(&self.heard) {
            self.heard = Vec::new();
            let _ = self.process.set(process);
        }
    }
}

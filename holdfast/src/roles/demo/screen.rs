//! What the demo says, on standard output: one line a step with the time since the start, and a progress line that
//! overwrites itself on a terminal. A reader that went away is no reason to stop.

use serde_json::Value;
use std::cell::RefCell;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Between two progress lines where they cannot overwrite each other.
const QUIET_INTERVAL: Duration = Duration::from_secs(5);
const MIB: f64 = 1_048_576.0;

/// The terminal, or whatever standard output is.
pub(super) struct Screen {
    started: Instant,
    is_terminal: bool,
    line: RefCell<Line>,
}

struct Line {
    is_open: bool,
    last_progress: Instant,
}

impl Screen {
    /// `is_relayed`: another process passes the output on, line by line.
    pub(super) fn new(is_relayed: bool) -> Self {
        let is_terminal = !is_relayed && std::io::stdout().is_terminal();
        let started = Instant::now();
        Self { started, is_terminal, line: RefCell::new(Line { is_open: false, last_progress: started }) }
    }

    /// Says what is done next.
    pub(super) fn step(&self, what: &str) {
        self.end_line();
        self.write(&format!("[{:5.1} s] {what}\n", self.started.elapsed().as_secs_f64()));
    }

    /// Says what came of it.
    pub(super) fn done(&self, what: &str) {
        self.end_line();
        self.write(&format!("          {what}\n"));
    }

    /// Several lines as they are.
    pub(super) fn block(&self, text: &str) {
        self.end_line();
        self.write(text);
    }

    /// How far a run or a restore is, from the API's answer.
    pub(super) fn progress(&self, job: &Value) {
        let progress = &job["progress"];
        let number = |field: &str| progress[field].as_u64().unwrap_or(0);
        let mut text = format!(
            "{}: {:.0} MiB, {} entries, {:.0} MiB/s",
            job["status"].as_str().unwrap_or("?"),
            number("original_size") as f64 / MIB,
            number("nfiles"),
            number("bytes_per_second") as f64 / MIB,
        );
        if let Some(stored) = progress["stored_size"].as_u64().filter(|stored| *stored > 0) {
            text.push_str(&format!(", {:.0} MiB stored", stored as f64 / MIB));
        }
        if self.is_terminal {
            self.line.borrow_mut().is_open = true;
            self.write(&format!("\r\x1b[K          {text}"));
        } else if self.line.borrow().last_progress.elapsed() > QUIET_INTERVAL {
            self.line.borrow_mut().last_progress = Instant::now();
            self.write(&format!("          {text}\n"));
        }
    }

    /// Leaves a progress line behind.
    pub(super) fn end_line(&self) {
        if std::mem::take(&mut self.line.borrow_mut().is_open) {
            self.write("\r\x1b[K");
        }
    }

    fn write(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

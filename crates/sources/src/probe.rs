//! What a server has of what we need, for `POST remote-servers/{id}/check`.

use crate::lines::{Lines, Words};
use crate::refusal;
use holdfast_domain::Failure;
use holdfast_domain::failure::printable;
use holdfast_remote::{Event, Session};
use std::collections::BTreeMap;

const PROGRAM: &str = include_str!("probe.sh");

/// Without these, no backup of files; a restore needs the other ones of the program's list too.
const NEEDED: [&str; 2] = ["base64", "tar"];

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerProbe {
    /// `uname -sr`.
    pub system: String,
    /// The user we are there.
    pub username: String,
    /// Whether that user is root.
    pub is_root: bool,
    /// Tools that were found, `tar` → `tar (GNU tar) 1.34`.
    pub tools: BTreeMap<String, String>,
    /// Tools that a backup of files needs and that are missing.
    pub missing: Vec<String>,
}

/// Asks the server.
///
/// # Errors
/// What the connection can say; `missing_tool` only where not even `base64` is there, without which nothing runs.
pub async fn check(session: &mut Session) -> Result<ServerProbe, Failure> {
    let mut running = session.start(PROGRAM, &[]).await?;
    let (mut stdout, mut words) = (Lines::default(), Words::default());
    let mut probe = ServerProbe::default();
    let status = loop {
        match running.next().await? {
            Event::Stdout(bytes) => stdout.feed(&bytes)?.iter().for_each(|line| probe.take(line)),
            Event::Stderr(bytes) => drop(words.feed(&bytes)?),
            Event::Exited(status) => break status,
        }
    };
    if probe.system.is_empty() {
        return Err(refusal::not_begun(status, &words));
    }
    probe.missing = NEEDED.iter().filter(|tool| !probe.has(tool)).map(|tool| (*tool).to_owned()).collect();
    Ok(probe)
}

impl ServerProbe {
    fn has(&self, tool: &str) -> bool {
        self.tools.contains_key(tool) || (tool == "tar" && self.tools.contains_key("gtar"))
    }

    fn take(&mut self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let Some((key, value)) = text.strip_prefix("holdfast:").and_then(|rest| rest.split_once(' ')) else { return };
        let (first, rest) = value.split_once(' ').unwrap_or((value, ""));
        match key {
            "system" => self.system = printable(value, 200),
            "user" => (self.is_root, self.username) = (first == "0", printable(rest, 200)),
            "tool" => drop(self.tools.insert(printable(first, 32), printable(rest, 200))),
            _ => {}
        }
    }
}

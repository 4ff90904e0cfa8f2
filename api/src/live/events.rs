//! Events as bytes. Every event's id is a place in the log: the number of the last line that was sent by then, so that a
//! reader that comes again with it misses no line and gets none twice. Data is JSON, which has no line break.

use super::row::{Head, Line};
use bytes::Bytes;
use std::fmt::Write;

/// What a client's EventSource waits before it asks again.
const RETRY_MS: u32 = 2_000;

/// Where a reader is, as an id says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// The last line it has; 0 = none.
    pub(super) line: i32,
    /// Whether it has the last event of all.
    pub(super) is_end: bool,
}

impl Position {
    /// From an event's id. What is none stands for the beginning: sending too much is better than too little.
    pub(super) fn parse(id: &str) -> Self {
        let (number, is_end) = id.strip_suffix("-end").map_or((id, false), |number| (number, true));
        match number.parse() {
            Ok(line) if line >= 0 => Self { line, is_end },
            _ => Self::default(),
        }
    }
}

/// Events in the making.
#[derive(Default)]
pub(super) struct Block(String);

impl Block {
    fn event(&mut self, name: &str, id: impl std::fmt::Display, json: &str) {
        // Writing to a text does not fail.
        let _ = write!(self.0, "event: {name}\nid: {id}\ndata: {json}\n\n");
    }

    /// How soon the client may come again.
    pub(super) fn retry(&mut self) {
        let _ = write!(self.0, "retry: {RETRY_MS}\n\n");
    }

    /// Lines of the log, one event each.
    pub(super) fn lines(&mut self, lines: &[Line]) {
        for line in lines {
            self.event("log", line.number, &line.json);
        }
    }

    /// How far it is.
    pub(super) fn progress(&mut self, id: i32, head: &Head) {
        self.event("progress", id, &head.progress);
    }

    /// What it is now.
    pub(super) fn state(&mut self, id: i32, head: &Head) {
        self.event("state", id, &head.state);
    }

    /// Nothing more comes.
    pub(super) fn end(&mut self, id: i32, head: &Head) {
        let status = serde_json::json!({ "status": head.status });
        self.event("end", format_args!("{id}-end"), &status.to_string());
    }

    /// The stream is cut off; what the client knows stays true.
    pub(super) fn closed(&mut self, id: i32, why: Closed) {
        self.event("closed", id, &serde_json::json!({ "reason": why.as_str() }).to_string());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_bytes(self) -> Bytes {
        self.0.into()
    }
}

/// Nothing, so that both ends see that the other is there.
pub(super) fn heartbeat() -> Bytes {
    Bytes::from_static(b":\n\n")
}

/// Why a stream ends before its row is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// The token or the session gives no right any more.
    Unauthenticated,
    /// The process ends.
    Shutdown,
    /// The client took too long to read.
    TooSlow,
    /// The row or the database is gone.
    Unavailable,
}

impl Closed {
    fn as_str(self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::Shutdown => "shutdown",
            Self::TooSlow => "too_slow",
            Self::Unavailable => "unavailable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_place_in_the_log_and_nothing_else_is() {
        assert_eq!(Position::parse("17"), Position { line: 17, is_end: false });
        assert_eq!(Position::parse("17-end"), Position { line: 17, is_end: true });
        for other in ["", "-end", "x", "-3", "-3-end", "99999999999", "1 2", "17-end-end"] {
            assert_eq!(Position::parse(other), Position::default(), "{other}");
        }
    }
}

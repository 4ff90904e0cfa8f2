//! A program's standard error as lines: its own text and ours (`holdfast:word … base64`), with bounds that hold whatever
//! the server sends.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holdfast_domain::failure::printable;
use holdfast_domain::{Failure, FailureCode, Step};

/// The longest line; a path of 4096 bytes can take four times that when quoted.
const LINE_BYTES: usize = 32 * 1024;

/// All of it; more than any number of warnings a person would look at.
const TOTAL_BYTES: u64 = 64 * 1024 * 1024;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// `holdfast:key value`, the value already decoded where it is base64.
    Ours {
        /// What it is.
        key: String,
        /// What it says.
        value: Vec<u8>,
    },
    /// Anything else.
    Text(Vec<u8>),
}

/// How many unknown lines a failure quotes.
const QUOTED_LINES: usize = 3;

/// Splits bytes into lines.
#[derive(Default)]
pub(crate) struct Lines {
    partial: Vec<u8>,
    total: u64,
}

impl Lines {
    /// The lines that `bytes` completes.
    ///
    /// # Errors
    /// `source_failed` when the bounds are passed.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, Failure> {
        self.total += bytes.len() as u64;
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            self.partial.extend_from_slice(piece);
            if self.partial.len() > LINE_BYTES || self.total > TOTAL_BYTES {
                let detail = "the program on the server said too much.";
                return Err(Failure::new(Step::Stream, FailureCode::SourceFailed, detail));
            }
            if self.partial.ends_with(b"\n") {
                self.partial.pop();
                lines.push(std::mem::take(&mut self.partial));
            }
        }
        Ok(lines)
    }

    /// What is left without a line end.
    pub(crate) fn last(&mut self) -> Option<Vec<u8>> {
        (!self.partial.is_empty()).then(|| std::mem::take(&mut self.partial))
    }
}

/// A program's standard error: what came before its greeting is a log-in shell's, and only quoted.
#[derive(Default)]
pub(crate) struct Words {
    lines: Lines,
    quoted: Vec<String>,
    greeted: bool,
}

impl Words {
    /// The lines after the greeting that `bytes` completes.
    ///
    /// # Errors
    /// As [`Lines::feed`].
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Line>, Failure> {
        let lines = self.lines.feed(bytes)?;
        Ok(lines.iter().filter_map(|line| self.take(line)).collect())
    }

    /// What is left without a line end.
    pub(crate) fn last(&mut self) -> Option<Line> {
        let line = self.lines.last()?;
        self.take(&line)
    }

    /// Keeps `text` for the failure that may follow; the last few are enough.
    pub(crate) fn quote(&mut self, text: &[u8]) {
        if self.quoted.len() == QUOTED_LINES {
            self.quoted.remove(0);
        }
        self.quoted.push(printable(&String::from_utf8_lossy(text), 150));
    }

    /// Whether anything was quoted.
    pub(crate) fn is_silent(&self) -> bool {
        self.quoted.is_empty()
    }

    /// `what`, followed by what was quoted.
    pub(crate) fn explain(&self, what: &str) -> String {
        if self.is_silent() { format!("{what}.") } else { format!("{what}: {}.", self.quoted.join(" / ")) }
    }

    fn take(&mut self, line: &[u8]) -> Option<Line> {
        match parse(line) {
            Line::Ours { key, .. } if key.starts_with("pid ") => {
                self.greeted = true;
                self.quoted.clear();
                None
            }
            line if self.greeted => Some(line),
            _ => {
                self.quote(line);
                None
            }
        }
    }
}

/// `holdfast:refused missing_path L3Ny` has the key `refused missing_path`. A line of ours that cannot be read is text, and
/// text that nobody knows is a failure.
fn parse(line: &[u8]) -> Line {
    let ours = || {
        let text = std::str::from_utf8(line.strip_prefix(b"holdfast:")?).ok()?;
        let (key, value) = text.rsplit_once(' ')?;
        let value = if key.starts_with("pid") { value.as_bytes().to_vec() } else { STANDARD.decode(value).ok()? };
        Some(Line::Ours { key: key.to_owned(), value })
    };
    ours().unwrap_or_else(|| Line::Text(line.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_together_over_pieces_and_a_log_in_shells_are_not_the_programs() {
        let mut words = Words::default();
        assert_eq!(words.feed(b"welcome\ntar: ignored\nholdfast:pid 1 2 1\ntar: a").unwrap(), []);
        assert!(words.is_silent());
        let refused = Line::Ours { key: "refused x".into(), value: b"/a".to_vec() };
        assert_eq!(
            words.feed(b"b\nholdfast:refused x L2E=\nrest").unwrap(),
            [Line::Text(b"tar: ab".to_vec()), refused]
        );
        assert_eq!(words.last(), Some(Line::Text(b"rest".to_vec())));
        assert_eq!(words.last(), None);
    }

    #[test]
    fn a_server_that_never_ends_a_line_or_never_stops_is_cut_off() {
        let mut lines = Lines::default();
        assert!(lines.feed(&vec![b'x'; LINE_BYTES + 1]).is_err());
        let mut lines = Lines::default();
        let flood = [&[b'y'; 30_000][..], b"\n"].concat();
        assert!((0..2300).any(|_| lines.feed(&flood).is_err()));
    }
}

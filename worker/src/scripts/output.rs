//! What is kept of what a script says: its first lines as they come and its last ones at its end, cut, printable, and without
//! its secrets. Memory does not depend on how much it says.

use holdfast_domain::failure::printable;
use secrecy::{ExposeSecret as _, SecretString};
use std::collections::VecDeque;

/// Lines told as they come.
const FIRST_LINES: usize = 50;

/// Lines told at the end, of those that came after.
const LAST_LINES: usize = 30;

/// Characters told of one line.
const LINE_MAX_CHARS: usize = 480;

/// Bytes held of one line: what is told of it, and the longest secret that may begin there.
const LINE_HELD_BYTES: usize = 8192;

/// Shorter secrets stand in every other word; replacing them would hide the log, not the secret.
const SECRET_MIN_CHARS: usize = 4;

/// What a script says begins with it, to be told from what is said of it.
pub(crate) const SAYS: &str = "| ";

/// In place of a secret.
const REDACTED: &str = "[secret]";

/// One script's output.
pub struct Output<'a> {
    say: &'a (dyn Fn(String) + Send + Sync),
    secrets: Vec<SecretString>,
    line: Vec<u8>,
    told: usize,
    last: VecDeque<Vec<u8>>,
    left_out: u64,
}

impl<'a> Output<'a> {
    /// Told to `say`, without `secrets`.
    pub fn new(say: &'a (dyn Fn(String) + Send + Sync), secrets: &[SecretString]) -> Self {
        let mut parts: Vec<&str> = Vec::new();
        for secret in secrets {
            // Lines are told one by one, so a secret of several is looked for line by line.
            parts.push(secret.expose_secret());
            parts.extend(secret.expose_secret().lines());
        }
        parts.retain(|part| part.chars().count() >= SECRET_MIN_CHARS);
        // The longest first: one may be a part of another.
        parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
        parts.dedup();
        let secrets = parts.into_iter().map(SecretString::from).collect();
        Self { say, secrets, line: Vec::new(), told: 0, last: VecDeque::new(), left_out: 0 }
    }

    /// Takes what came.
    pub fn feed(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (head, tail) = rest.split_at(end);
            self.hold(head);
            self.end_line();
            rest = tail.get(1..).unwrap_or_default();
        }
        self.hold(rest);
    }

    /// Tells the last lines.
    pub fn end(&mut self) {
        if !self.line.is_empty() {
            self.end_line();
        }
        if self.left_out > 0 {
            (self.say)(format!("{SAYS}… {} lines are left out.", self.left_out));
        }
        for line in std::mem::take(&mut self.last) {
            self.tell(&line);
        }
    }

    fn hold(&mut self, part: &[u8]) {
        let room = LINE_HELD_BYTES - self.line.len();
        self.line.extend_from_slice(&part[..part.len().min(room)]);
    }

    fn end_line(&mut self) {
        if self.told < FIRST_LINES {
            self.told += 1;
            let line = std::mem::take(&mut self.line);
            self.tell(&line);
            return;
        }
        if self.last.len() == LAST_LINES {
            self.left_out += 1;
            // Its memory is the next line's: a flood allocates nothing.
            if let Some(oldest) = self.last.pop_front() {
                self.last.push_back(std::mem::replace(&mut self.line, oldest));
                self.line.clear();
            }
            return;
        }
        self.last.push_back(std::mem::take(&mut self.line));
    }

    fn tell(&self, line: &[u8]) {
        let mut text = String::from_utf8_lossy(line).into_owned();
        for secret in &self.secrets {
            if text.contains(secret.expose_secret()) {
                text = text.replace(secret.expose_secret(), REDACTED);
            }
        }
        (self.say)(format!("{SAYS}{}", printable(&text, LINE_MAX_CHARS)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    fn told(secrets: &[&str], chunks: &[&[u8]]) -> Vec<String> {
        let lines = Mutex::new(Vec::new());
        let say = |line: String| lines.lock().unwrap().push(line);
        let secrets: Vec<SecretString> = secrets.iter().map(|secret| (*secret).into()).collect();
        let mut output = Output::new(&say, &secrets);
        chunks.iter().for_each(|chunk| output.feed(chunk));
        output.end();
        lines.into_inner().unwrap()
    }

    #[test]
    fn first_and_last_lines_are_told_and_how_many_are_not() {
        let many: String = (1..=1000).map(|n| format!("line {n}\n")).collect();
        let lines = told(&[], &[many.as_bytes(), b"no line end"]);
        assert_eq!(lines.len(), FIRST_LINES + 1 + LAST_LINES);
        assert_eq!(lines.first().map(String::as_str), Some("| line 1"));
        assert_eq!(lines[FIRST_LINES], "| … 921 lines are left out.");
        assert_eq!(lines.last().map(String::as_str), Some("| no line end"));
    }

    #[test]
    fn a_secret_is_never_told_however_it_arrives() {
        let lines =
            told(&["hunter22", "two\nlines of it", "ab"], &[b"a hun", b"ter22 b\nlines of it\n", b"hunter22hunter22"]);
        assert_eq!(lines, ["| a [secret] b", "| [secret]", "| [secret][secret]"]);
        let far = [vec![b'x'; LINE_MAX_CHARS - 3], b"hunter22".to_vec(), vec![b'y'; 100_000]].concat();
        let lines = told(&["hunter22"], &[&far]);
        assert!(lines[0].chars().count() < LINE_MAX_CHARS + 8 && !lines[0].contains("hun"), "{}", lines[0]);
    }

    #[test]
    fn what_is_told_can_be_shown() {
        let lines = told(&[], &[b"\x1b[2Jred\xff\xe2\x80\xae\r\n"]);
        assert!(!lines[0].contains(['\u{1b}', '\u{202e}', '\r']), "{lines:?}");
    }
}

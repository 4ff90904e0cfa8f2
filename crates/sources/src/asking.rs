//! A short program on the server that is asked something: its answer, whole and bounded. What it says is a peer's text.

use crate::lines::{Line, Lines, Words};
use crate::reading::{Said, version_line};
use crate::refusal;
use holdfast_domain::Failure;
use holdfast_remote::{Event, Session};
use std::collections::BTreeMap;

/// The line before the answer; a login shell may have spoken before it.
const BEGIN: &[u8] = b"holdfast:data";

/// What a program answered.
#[derive(Default)]
pub(crate) struct Answer {
    /// Lines of its standard output after `holdfast:data`.
    pub(crate) lines: Vec<Vec<u8>>,
    /// Its `holdfast:key value` lines, tools and refusals left out.
    pub(crate) notes: Vec<(String, Vec<u8>)>,
    /// Why it refused, and what.
    pub(crate) refused: Option<(String, String)>,
    /// Its `holdfast:tool` lines.
    pub(crate) tools: BTreeMap<String, String>,
    /// Its own exit status.
    pub(crate) status: u32,
    /// Its own text on standard error, the last lines of it.
    pub(crate) said: Vec<String>,
    words: Words,
    begun: bool,
}

/// Lines of a program's own text that are kept.
const SAID_LINES: usize = 50;

/// Runs `program` to its end.
///
/// # Errors
/// It did not come so far as to say `holdfast:data` or to refuse; it said too much; what the connection can say.
pub(crate) async fn ask(session: &mut Session, program: &'static str, fields: &[&[u8]]) -> Result<Answer, Failure> {
    let mut running = session.start(program, fields).await?;
    let mut stdout = Lines::default();
    let mut answer = Answer::default();
    loop {
        match running.next().await? {
            Event::Stdout(bytes) => stdout.feed(&bytes)?.into_iter().for_each(|line| answer.take_output(line)),
            Event::Stderr(bytes) => {
                let lines = answer.words.feed(&bytes)?;
                lines.into_iter().for_each(|line| answer.take_line(line));
            }
            Event::Exited(status) => {
                answer.status = status;
                break;
            }
        }
    }
    if let Some(line) = answer.words.last() {
        answer.take_line(line);
    }
    if let Some(line) = stdout.last() {
        answer.take_output(line);
    }
    match answer.begun || answer.refused.is_some() {
        true => Ok(answer),
        false => Err(refusal::not_begun(answer.status, &answer.words)),
    }
}

impl Answer {
    /// What it said that is not ours.
    pub(crate) fn said(&self) -> Said<'_> {
        Said::new(&self.words)
    }

    fn take_output(&mut self, line: Vec<u8>) {
        match self.begun {
            true => self.lines.push(line),
            // What a log-in shell said without a line end stands before it.
            false => self.begun = line.ends_with(BEGIN),
        }
    }

    fn take_line(&mut self, line: Line) {
        match line {
            Line::Ours { key, value } => self.take_ours(key, value),
            Line::Text(text) => {
                self.words.quote(&text);
                if self.said.len() == SAID_LINES {
                    self.said.remove(0);
                }
                self.said.push(String::from_utf8_lossy(&text).into_owned());
            }
        }
    }

    fn take_ours(&mut self, key: String, value: Vec<u8>) {
        let text = || String::from_utf8_lossy(&value).into_owned();
        if let Some(tool) = key.strip_prefix("tool ") {
            self.tools.insert(tool.to_owned(), version_line(&text()));
        } else if let Some(why) = key.strip_prefix("refused ") {
            self.refused = Some((why.to_owned(), text()));
        } else {
            self.notes.push((key, value));
        }
    }
}

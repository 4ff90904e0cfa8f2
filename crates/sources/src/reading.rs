//! A program on the server whose standard output is a stream: the same course for every source. What differs (which lines
//! are harmless, what proves the end) is a [`Judge`]. A stream never ends well without the program's own exit status,
//! and never before its begin line was seen.

use crate::lines::{Line, Words};
use crate::{SourceReport, StreamReader, refusal};
use async_trait::async_trait;
use bytes::Bytes;
use holdfast_domain::failure::printable;
use holdfast_domain::warning::Warning;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_remote::{Event, Running, Session};

/// The line before the stream's first byte; a login shell may have spoken before it.
const BEGIN: &[u8] = b"holdfast:data\n";

/// How much a login shell may say before that.
const NOISE_BYTES: usize = 64 * 1024;

/// What a line of the program's own text means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judged {
    /// Nothing worth telling.
    Noise,
    /// The stream is whole except for this.
    Warning(Warning),
    /// Not a sentence that we know to be harmless. It is quoted if the program fails.
    Unknown,
}

/// What one kind of program means by what it says.
pub trait Judge: Send + 'static {
    /// Looks at bytes of the stream as they pass, from the first after the begin line.
    ///
    /// # Errors
    /// They cannot be what was asked for; the program is then given up.
    fn see(&mut self, bytes: &[u8]) -> Result<(), Failure>;

    /// A line on standard error.
    fn line(&mut self, text: &[u8]) -> Judged;

    /// A line of ours, `holdfast:key value`, that is neither a tool nor a refusal; it may come before the begin line.
    ///
    /// # Errors
    /// It means that this cannot end well.
    fn note(&mut self, key: &str, value: &[u8], report: &mut SourceReport) -> Result<(), Failure>;

    /// What our program's refusal means.
    fn refused(&self, why: &str, what: &str) -> Failure {
        refusal::of_source(why, what)
    }

    /// Why the program ended before its begin line, where more is known than its last words.
    fn not_begun(&self, _status: u32) -> Option<Failure> {
        None
    }

    /// Whether the program's end is a good one; everything it said and wrote was shown before.
    ///
    /// # Errors
    /// Why it is none.
    fn end(&mut self, status: u32, report: &mut SourceReport, said: &Said<'_>) -> Result<(), Failure>;
}

/// What a program said that nobody knew.
pub struct Said<'a>(&'a Words);

impl<'a> Said<'a> {
    /// Of these words.
    pub(crate) fn new(words: &'a Words) -> Self {
        Self(words)
    }

    /// `what`, followed by the last lines that nobody knew.
    #[must_use]
    pub fn explain(&self, what: &str) -> String {
        self.0.explain(what)
    }
}

/// A stream being read.
pub struct ProgramReader<J> {
    running: Running,
    // Kept: the connection lives as long as its session.
    _session: Session,
    before: Vec<u8>,
    begun: bool,
    pending: Option<Bytes>,
    words: Words,
    judge: J,
    found: SourceReport,
    end: Option<Result<(), Failure>>,
}

/// Starts `program` and waits for its begin line.
///
/// # Errors
/// What the program refuses, what it says when it cannot start, and what the connection can say.
pub(crate) async fn open<J: Judge>(
    mut session: Session,
    program: &'static str,
    fields: &[&[u8]],
    judge: J,
) -> Result<ProgramReader<J>, Failure> {
    let running = session.start(program, fields).await?;
    let mut reader = ProgramReader {
        running,
        _session: session,
        before: Vec::new(),
        begun: false,
        pending: None,
        words: Words::default(),
        judge,
        found: SourceReport::default(),
        end: None,
    };
    reader.await_begin().await?;
    Ok(reader)
}

impl<J: Judge> ProgramReader<J> {
    /// The next bytes; none once the program's exit status and all its words were judged and found good.
    ///
    /// # Errors
    /// What the judge says, `connection_lost`, `stalled`. After an error it says the same again.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        if let Some(bytes) = self.pending.take() {
            return Ok(Some(bytes));
        }
        loop {
            if let Some(end) = &self.end {
                return end.clone().map(|()| None);
            }
            match self.step().await {
                Ok(Some(bytes)) => return Ok(Some(bytes)),
                Ok(None) => {}
                Err(failure) => self.end = Some(Err(failure)),
            }
        }
    }

    /// The report, once [`ProgramReader::next`] returned none.
    #[must_use]
    pub fn report(&self) -> Option<&SourceReport> {
        matches!(self.end, Some(Ok(()))).then_some(&self.found)
    }

    /// Ends the program on the server; whether a check there saw that it is gone.
    pub async fn cancel(self) -> bool {
        self.running.cancel().await.process_terminated
    }

    async fn await_begin(&mut self) -> Result<(), Failure> {
        while !self.begun {
            self.pending = self.step().await?;
            if let Some(Err(failure)) = &self.end {
                return Err(failure.clone());
            }
        }
        Ok(())
    }

    /// Takes one event; bytes of the stream, if it brought any.
    async fn step(&mut self) -> Result<Option<Bytes>, Failure> {
        match self.running.next().await? {
            Event::Stdout(bytes) => self.take_output(bytes),
            Event::Stderr(bytes) => {
                let lines = self.words.feed(&bytes)?;
                lines.into_iter().try_for_each(|line| self.take_line(line))?;
                Ok(None)
            }
            Event::Exited(status) => {
                if let Some(line) = self.words.last() {
                    self.take_line(line)?;
                }
                self.end = Some(self.judge_end(status));
                Ok(None)
            }
        }
    }

    fn take_output(&mut self, bytes: Bytes) -> Result<Option<Bytes>, Failure> {
        let bytes = if self.begun { bytes } else { self.look_for_begin(&bytes)? };
        self.judge.see(&bytes)?;
        self.found.size_bytes += bytes.len() as u64;
        Ok((!bytes.is_empty()).then_some(bytes))
    }

    fn look_for_begin(&mut self, bytes: &[u8]) -> Result<Bytes, Failure> {
        self.before.extend_from_slice(bytes);
        if let Some(at) = self.before.windows(BEGIN.len()).position(|window| window == BEGIN) {
            self.begun = true;
            return Ok(Bytes::from(std::mem::take(&mut self.before)).slice(at + BEGIN.len()..));
        }
        if self.before.len() > NOISE_BYTES {
            let detail = "the user's log-in shell writes to its output without end; it must be silent when it is not interactive.";
            return Err(Failure::new(Step::Start, FailureCode::SourceFailed, detail));
        }
        Ok(Bytes::new())
    }

    fn take_line(&mut self, line: Line) -> Result<(), Failure> {
        let text = match line {
            Line::Ours { key, value } => return self.take_ours(&key, &value),
            Line::Text(text) => text,
        };
        match self.judge.line(&text) {
            Judged::Noise => {}
            Judged::Warning(warning) => self.found.warnings.push(warning),
            Judged::Unknown => self.words.quote(&text),
        }
        Ok(())
    }

    fn take_ours(&mut self, key: &str, value: &[u8]) -> Result<(), Failure> {
        let text = String::from_utf8_lossy(value);
        match (key.strip_prefix("tool "), key.strip_prefix("refused ")) {
            (Some(tool), _) => drop(self.found.tools.insert(tool.to_owned(), version_line(&text))),
            (_, Some(why)) => return Err(self.judge.refused(why, &text)),
            _ => self.judge.note(key, value, &mut self.found)?,
        }
        Ok(())
    }

    fn judge_end(&mut self, status: u32) -> Result<(), Failure> {
        if !self.begun {
            return Err(self.judge.not_begun(status).unwrap_or_else(|| refusal::not_begun(status, &self.words)));
        }
        self.found.exit_status = status;
        self.judge.end(status, &mut self.found, &Said(&self.words))
    }
}

#[async_trait]
impl<J: Judge> StreamReader for ProgramReader<J> {
    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        ProgramReader::next(self).await
    }

    fn report(&self) -> Option<&SourceReport> {
        ProgramReader::report(self)
    }

    async fn cancel(self: Box<Self>) -> bool {
        ProgramReader::cancel(*self).await
    }
}

/// What a tool said of itself, as one short line.
pub(crate) fn version_line(said: &str) -> String {
    printable(said.lines().next().unwrap_or_default(), 100)
}

/// How `program` ended, in words.
pub(crate) fn ended(program: &str, status: u32) -> String {
    match status.checked_sub(128) {
        Some(signal @ 1..=64) => format!("{program} was ended by signal {signal}"),
        _ => format!("{program} ended with status {status}"),
    }
}

//! A file tree, as a tar stream.
//!
//! Needs on the server: a POSIX shell, `base64`, and GNU tar (or busybox tar, without excludes). Read by one `tar` whose
//! every line on standard error is judged. Ended well: the exit status is 0, or 1 with warnings that name the files; an
//! unknown sentence, any other status, or nothing read at all is a failure. Put back by [`crate::files_restore`].

use crate::lines::{Line, Words};
use crate::patterns::{excludes, member_paths};
use crate::tar_lines::{Judged, while_creating};
use crate::{SourceReport, refusal};
use bytes::Bytes;
use holdfast_domain::failure::printable;
use holdfast_domain::source::FilesSpec;
use holdfast_domain::warning::{Warning, WarningCode};
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_remote::{Event, Running, Session};

/// What runs on the server.
pub(crate) const PROGRAM: &str = include_str!("files.sh");

/// The line before tar's first byte; a login shell may have spoken before it.
const BEGIN: &[u8] = b"holdfast:data\n";

/// How much a login shell may say before that.
const NOISE_BYTES: usize = 64 * 1024;

/// Every header of a tar begins a block of so many bytes; the end mark is two that are zero.
const BLOCK: usize = 512;

/// Starts reading `spec` on `session`.
///
/// # Errors
/// `invalid_config`, `missing_path`, `missing_tool`, `empty_source` (a path that this user cannot read at all), and what
/// the connection can say.
pub async fn open(mut session: Session, spec: &FilesSpec) -> Result<FilesReader, Failure> {
    let fields = fields(spec)?;
    let fields: Vec<&[u8]> = fields.iter().map(String::as_bytes).collect();
    let running = session.start(PROGRAM, &fields).await?;
    let mut reader = FilesReader::new(session, running);
    reader.await_begin().await?;
    Ok(reader)
}

/// The program's variables, in the order in which it reads them.
pub(crate) fn fields(spec: &FilesSpec) -> Result<Vec<String>, Failure> {
    let paths = member_paths(spec)?;
    let excludes = excludes(spec, &paths)?;
    let flag = |on: bool| if on { "1" } else { "0" }.to_owned();
    let mut fields = vec![flag(spec.one_file_system), flag(spec.sparse), excludes.len().to_string()];
    fields.extend(excludes.into_iter().flat_map(|e| [e.anchor.to_owned(), e.pattern]));
    fields.push(paths.len().to_string());
    fields.extend(paths);
    Ok(fields)
}

/// A tar stream being read.
pub struct FilesReader {
    running: Running,
    // Kept: the connection lives as long as its session.
    _session: Session,
    before: Vec<u8>,
    begun: bool,
    head: Vec<u8>,
    pending: Option<Bytes>,
    words: Words,
    is_gnu: bool,
    is_doubtful: bool,
    found: SourceReport,
    end: Option<Result<(), Failure>>,
}

impl FilesReader {
    fn new(session: Session, running: Running) -> Self {
        Self {
            running,
            _session: session,
            before: Vec::new(),
            begun: false,
            head: Vec::new(),
            pending: None,
            words: Words::default(),
            is_gnu: false,
            is_doubtful: false,
            found: SourceReport::default(),
            end: None,
        }
    }

    /// The next bytes; none once the program's exit status and all its warnings were judged and found good.
    ///
    /// # Errors
    /// `source_failed`, `empty_source`, `connection_lost`, `stalled`. After an error it says the same again.
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

    /// The report, once [`FilesReader::next`] returned none.
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
                self.end = Some(self.judge(status));
                Ok(None)
            }
        }
    }

    fn take_output(&mut self, bytes: Bytes) -> Result<Option<Bytes>, Failure> {
        let bytes = if self.begun { bytes } else { self.look_for_begin(&bytes)? };
        if self.head.len() < BLOCK {
            self.head.extend_from_slice(&bytes[..bytes.len().min(BLOCK - self.head.len())]);
        }
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
        match if self.is_gnu { while_creating(&text) } else { Judged::Unknown } {
            Judged::Noise => {}
            Judged::Warning(warning) => self.found.warnings.push(warning),
            Judged::Unknown => {
                self.words.quote(&text);
                // busybox may say anything; its status decides.
                self.is_doubtful |= self.is_gnu;
            }
        }
        Ok(())
    }

    fn take_ours(&mut self, key: &str, value: &[u8]) -> Result<(), Failure> {
        let text = String::from_utf8_lossy(value);
        match key {
            "kind" => self.is_gnu = text == "gnu",
            "link" => self.found.warnings.push(Warning {
                code: WarningCode::NotStored,
                path: Some(printable(&text, 1024)),
                message: "is a symbolic link to a folder; the link was stored, not what it leads to".to_owned(),
            }),
            _ => match (key.strip_prefix("tool "), key.strip_prefix("refused ")) {
                (Some(tool), _) => {
                    let version = text.lines().next().unwrap_or_default();
                    self.found.tools.insert(tool.to_owned(), printable(version, 100));
                }
                (_, Some(why)) => return Err(refusal::of_source(why, &text)),
                _ => {}
            },
        }
        Ok(())
    }

    /// Whether the program's end is a good one.
    fn judge(&mut self, status: u32) -> Result<(), Failure> {
        if !self.begun {
            return Err(refusal::not_begun(status, &self.words));
        }
        self.found.exit_status = status;
        let is_good = match (self.is_gnu, status) {
            (_, 0) => true,
            // "Some files differ": always with a line for each.
            (true, 1) => !self.found.warnings.is_empty(),
            _ => false,
        };
        if !is_good {
            return Err(self.failed(&ended(status)));
        }
        if self.is_doubtful {
            return Err(self.failed("tar said something that is not known to be harmless"));
        }
        // The first block is a header, unless there is not one entry.
        if self.head.len() < BLOCK || self.head.iter().all(|byte| *byte == 0) {
            return Err(Failure::new(
                Step::FinishSource,
                FailureCode::EmptySource,
                "tar wrote an archive without an entry.",
            ));
        }
        Ok(())
    }

    fn failed(&self, what: &str) -> Failure {
        Failure::new(Step::FinishSource, FailureCode::SourceFailed, self.words.explain(what))
    }
}

fn ended(status: u32) -> String {
    match status.checked_sub(128) {
        Some(signal @ 1..=64) => format!("tar was ended by signal {signal}"),
        _ => format!("tar ended with status {status}"),
    }
}

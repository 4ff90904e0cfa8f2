//! A file tree, as a tar stream.
//!
//! Needs on the server: a POSIX shell, `base64`, and GNU tar (or busybox tar, without excludes). Read by one `tar` whose
//! every line on standard error is judged. Ended well: the exit status is 0, or 1 with warnings that name the files; an
//! unknown sentence, any other status, or nothing read at all is a failure. Put back by [`crate::files_restore`].

use crate::SourceReport;
use crate::patterns::{excludes, member_paths};
use crate::reading::{self, Judge, Judged, ProgramReader, Said, ended};
use crate::tar_lines::while_creating;
use holdfast_domain::failure::printable;
use holdfast_domain::source::FilesSpec;
use holdfast_domain::warning::{Warning, WarningCode};
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_remote::Session;

/// What runs on the server.
pub(crate) const PROGRAM: &str = concat!(include_str!("say.sh"), include_str!("files.sh"));

/// Every header of a tar begins a block of so many bytes; the end mark is two that are zero.
const BLOCK: usize = 512;

/// Starts reading `spec` on `session`.
///
/// # Errors
/// `invalid_config`, `missing_path`, `missing_tool`, `empty_source` (a path that this user cannot read at all), and what
/// the connection can say.
pub async fn open(session: Session, spec: &FilesSpec) -> Result<FilesReader, Failure> {
    let fields = fields(spec)?;
    let fields: Vec<&[u8]> = fields.iter().map(String::as_bytes).collect();
    reading::open(session, PROGRAM, &fields, Tar::default()).await
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
pub type FilesReader = ProgramReader<Tar>;

/// What tar means by what it says.
#[derive(Default)]
pub struct Tar {
    head: Vec<u8>,
    is_gnu: bool,
    is_doubtful: bool,
}

impl Judge for Tar {
    fn see(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if self.head.len() < BLOCK {
            self.head.extend_from_slice(&bytes[..bytes.len().min(BLOCK - self.head.len())]);
        }
        Ok(())
    }

    fn line(&mut self, text: &[u8]) -> Judged {
        let judged = if self.is_gnu { while_creating(text) } else { Judged::Unknown };
        // busybox may say anything; its status decides.
        self.is_doubtful |= self.is_gnu && judged == Judged::Unknown;
        judged
    }

    fn note(&mut self, key: &str, value: &[u8], report: &mut SourceReport) -> Result<(), Failure> {
        match key {
            "kind" => self.is_gnu = value == b"gnu",
            "link" => report.warnings.push(Warning {
                code: WarningCode::NotStored,
                path: Some(printable(&String::from_utf8_lossy(value), 1024)),
                message: "is a symbolic link to a folder; the link was stored, not what it leads to".to_owned(),
            }),
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, status: u32, report: &mut SourceReport, said: &Said<'_>) -> Result<(), Failure> {
        let failed = |what: &str| Failure::new(Step::FinishSource, FailureCode::SourceFailed, said.explain(what));
        let is_good = match (self.is_gnu, status) {
            (_, 0) => true,
            // "Some files differ": always with a line for each.
            (true, 1) => !report.warnings.is_empty(),
            _ => false,
        };
        if !is_good {
            return Err(failed(&ended("tar", status)));
        }
        if self.is_doubtful {
            return Err(failed("tar said something that is not known to be harmless"));
        }
        // The first block is a header, unless there is not one entry.
        if self.head.len() < BLOCK || self.head.iter().all(|byte| *byte == 0) {
            let detail = "tar wrote an archive without an entry.";
            return Err(Failure::new(Step::FinishSource, FailureCode::EmptySource, detail));
        }
        Ok(())
    }
}

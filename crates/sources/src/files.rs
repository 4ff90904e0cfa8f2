//! A file tree, as a tar stream.

use crate::SourceReport;
use bytes::Bytes;
use holdfast_domain::source::FilesSpec;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_remote::Session;

/// Starts reading.
///
/// # Errors
/// `missing_path`, `missing_tool`, `invalid_config`, `empty_source`, and what the connection can say.
pub async fn open(_session: Session, _spec: &FilesSpec) -> Result<FilesReader, Failure> {
    Err(Failure::new(Step::Start, FailureCode::Internal, "being written"))
}

/// A tar stream being read.
pub struct FilesReader {
    report: Option<SourceReport>,
}

impl FilesReader {
    /// The next bytes; none once the program's exit status and its warnings were judged and found good.
    ///
    /// # Errors
    /// `source_failed`, `empty_source`, `connection_lost`, `stalled`.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        Err(Failure::new(Step::Stream, FailureCode::Internal, "being written"))
    }

    /// The report, once [`FilesReader::next`] returned none.
    #[must_use]
    pub fn report(&self) -> Option<&SourceReport> {
        self.report.as_ref()
    }

    /// Ends the program on the server; whether a check there saw that it is gone.
    pub async fn cancel(self) -> bool {
        false
    }
}

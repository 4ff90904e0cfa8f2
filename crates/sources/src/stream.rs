//! What the worker sees of any source: bytes whose end is a proof, and a way back that judges its own effect.

use crate::SourceReport;
use async_trait::async_trait;
use bytes::Bytes;
use holdfast_domain::Failure;
use holdfast_domain::warning::Warnings;

/// One stream being read on a server.
#[async_trait]
pub trait StreamReader: Send {
    /// The next bytes; none once the program's exit status came, its end mark was seen and every line it said was judged.
    ///
    /// # Errors
    /// Why it ended badly. After an error it says the same again.
    async fn next(&mut self) -> Result<Option<Bytes>, Failure>;

    /// The report, once [`StreamReader::next`] returned none.
    fn report(&self) -> Option<&SourceReport>;

    /// Ends the program on the server; whether a check there saw that it is gone.
    async fn cancel(self: Box<Self>) -> bool;
}

/// One stream being put back on a server.
#[async_trait]
pub trait StreamWriter: Send {
    /// Takes the next bytes; returns when they are accepted.
    ///
    /// # Errors
    /// The program there failed or the connection did; what it had made is removed there as far as that can be done.
    async fn write(&mut self, bytes: Bytes) -> Result<(), Failure>;

    /// Says that the stream is whole, has it take effect, and compares what came of it with what was sent.
    ///
    /// # Errors
    /// Nothing is in place then, unless the failure's code is `target_incomplete`.
    async fn finish(self: Box<Self>) -> Result<Restored, Failure>;

    /// Whether what is written changes something that was there before, so that [`StreamWriter::abort`] cannot take it
    /// back. Known once the writer is open, before the first byte.
    fn changes_what_existed(&self) -> bool {
        false
    }

    /// Undoes what was done; whether the program there ended or a check saw that it is gone.
    async fn abort(self: Box<Self>) -> bool;
}

/// What came of putting a stream back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Entries of a tree, tables of a database.
    pub entries: u64,
    /// Bytes in place, where that is known.
    pub size_bytes: u64,
    /// What was not put back, or otherwise than it was.
    pub warnings: Warnings,
}

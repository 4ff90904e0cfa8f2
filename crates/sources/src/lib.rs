//! What a task reads: one file a source, each with the same four questions: what it needs on the server, how it is read,
//! how we know that it ended well, how it is put back.
//!
//! A source never says that it ended before its program's own exit status arrived and every warning line was judged.

mod asking;
pub mod database;
pub mod files;
pub mod files_restore;
mod framed;
mod lines;
mod mariadb;
mod patterns;
pub mod postgresql;
pub mod probe;
mod reading;
mod refusal;
mod report;
#[cfg(test)]
mod shells;
mod staged;
pub mod stream;
mod tar_lines;
mod writable;

pub use reading::{Judge, Judged, ProgramReader, Said};
pub use report::SourceReport;
pub use stream::{StreamReader, StreamWriter};

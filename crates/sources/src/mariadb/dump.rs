//! One database's dump on its way: nothing it says is taken for its end but the dump program's own status *and* its last
//! line *and* as many tables as the catalogue had.

use super::login::Fields;
use super::{COUNT, errors};
use crate::SourceReport;
use crate::database::DatabaseLogin;
use crate::reading::{Judge, Judged, Said, ended};
use holdfast_domain::failure::printable;
use holdfast_domain::manifest::{Omitted, OmittedKind};
use holdfast_domain::source::Engine;
use holdfast_domain::warning::{Warning, WarningCode};
use holdfast_domain::{Failure, FailureCode, Step};

/// What runs on the server.
pub(super) const PROGRAM: &str = concat!(include_str!("../say.sh"), include_str!("client.sh"), include_str!("dump.sh"));

/// How a table's part begins. Rows never begin a line so: a line end in a value is written as `\n`.
const TABLE: &[u8] = b"-- Table structure for table `";

/// How the last line begins.
const END: &[u8] = b"-- Dump completed";

/// Lines of the dump program's own text that are kept.
const SAID_LINES: usize = 20;

/// The program's variables, in the order in which it reads them.
pub(super) fn fields(
    engine: Engine,
    database: &str,
    omitted: &[Omitted],
    login: &DatabaseLogin,
) -> Result<Fields, Failure> {
    let names = |kinds: &[OmittedKind]| -> Vec<String> {
        omitted.iter().filter(|one| kinds.contains(&one.kind)).map(|one| one.name.clone()).collect()
    };
    let mut fields = Fields::log_in(login, Some(engine))?;
    fields.push_name(database)?;
    fields.push(COUNT);
    fields.push_list(&names(&[OmittedKind::Table, OmittedKind::View, OmittedKind::Other]))?;
    fields.push_list(&names(&[OmittedKind::Rows]))?;
    Ok(fields)
}

/// What a dump program means by what it says.
pub struct Dump {
    omitted_tables: u64,
    tables: u64,
    // How the line that is passing begins.
    line: Vec<u8>,
    is_complete: bool,
    said: Vec<String>,
}

impl Dump {
    /// Of a database of which `omitted` is left out.
    pub(super) fn new(omitted: &[Omitted]) -> Self {
        let omitted_tables = omitted.iter().filter(|one| one.kind == OmittedKind::Table).count() as u64;
        Self { omitted_tables, tables: 0, line: Vec::new(), is_complete: false, said: Vec::new() }
    }

    fn add(&mut self, piece: &[u8]) {
        let room = TABLE.len() - self.line.len();
        self.line.extend_from_slice(&piece[..piece.len().min(room)]);
    }

    fn end_line(&mut self) {
        if self.line.is_empty() {
            return;
        }
        self.tables += u64::from(self.line == TABLE);
        self.is_complete = self.line.starts_with(END);
        self.line.clear();
    }

    fn failed(&self, what: &str) -> Failure {
        if let Some(failure) = errors::first(&self.said, Step::FinishSource) {
            // It was reached and its tables were counted before: what is gone now went away in the middle.
            return match failure.code {
                FailureCode::DatabaseUnreachable | FailureCode::MissingDatabase => {
                    Failure { code: FailureCode::SourceFailed, ..failure }
                }
                _ => failure,
            };
        }
        let last = self.said.iter().rev().take(3).rev().map(|line| printable(line, 150)).collect::<Vec<_>>();
        let said = if last.is_empty() { String::new() } else { format!(": {}", last.join(" / ")) };
        Failure::new(Step::FinishSource, FailureCode::SourceFailed, format!("{what}{said}."))
    }
}

impl Judge for Dump {
    fn see(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let mut rest = bytes;
        while let Some(at) = memchr::memchr(b'\n', rest) {
            self.add(&rest[..at]);
            self.end_line();
            rest = &rest[at + 1..];
        }
        self.add(rest);
        Ok(())
    }

    fn line(&mut self, text: &[u8]) -> Judged {
        let text = String::from_utf8_lossy(text).into_owned();
        // With a good end they are worth telling; with a bad one they are its reason.
        let warning = Warning {
            code: WarningCode::NotStored,
            path: None,
            message: format!("the dump program said: {}", printable(&text, 300)),
        };
        if self.said.len() == SAID_LINES {
            self.said.remove(0);
        }
        self.said.push(text);
        Judged::Warning(warning)
    }

    fn note(&mut self, key: &str, value: &[u8], report: &mut SourceReport) -> Result<(), Failure> {
        if key == "tables" {
            let tables = std::str::from_utf8(value).ok().and_then(|text| text.trim().parse::<u64>().ok());
            report.tables = tables.map(|tables| tables.saturating_sub(self.omitted_tables));
        }
        if key == "no_history" {
            let message = "the history of system-versioned tables was not stored: the dump program there is too old";
            report.warnings.push(Warning { code: WarningCode::NotStored, path: None, message: message.to_owned() });
        }
        Ok(())
    }

    fn not_begun(&self, status: u32) -> Option<Failure> {
        let known = errors::first(&self.said, Step::Start);
        known.or_else(|| (!self.said.is_empty()).then(|| self.failed(&ended("the client", status))))
    }

    fn end(&mut self, status: u32, report: &mut SourceReport, _: &Said<'_>) -> Result<(), Failure> {
        if status != 0 {
            return Err(self.failed(&ended("the dump program", status)));
        }
        self.end_line();
        let incomplete = |detail: String| Failure::new(Step::FinishSource, FailureCode::SourceIncomplete, detail);
        if !self.is_complete {
            return Err(incomplete("the dump does not end with `-- Dump completed`.".to_owned()));
        }
        let Some(expected) = report.tables else {
            return Err(incomplete("the number of tables is not known.".to_owned()));
        };
        if self.tables < expected {
            return Err(incomplete(format!("{} tables are in the dump, the database had {expected}.", self.tables)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lines::Words;

    fn judged(dump: &str, tables: &str, chunk: usize) -> Result<(), Failure> {
        let mut judge = Dump::new(&[]);
        let mut report = SourceReport::default();
        judge.note("tables", tables.as_bytes(), &mut report).unwrap();
        dump.as_bytes().chunks(chunk).for_each(|bytes| judge.see(bytes).unwrap());
        judge.end(0, &mut report, &Said::new(&Words::default()))
    }

    #[test]
    fn an_end_is_the_last_line_and_every_table_however_the_bytes_are_cut() {
        let whole = "--\n-- Table structure for table `a`\n--\nx\n-- Table structure for table `b`\n\n-- Dump completed on 2026\n";
        for chunk in [1, 2, 7, 29, 1000] {
            judged(whole, "2", chunk).unwrap();
            judged(whole.trim_end(), "2\n", chunk).unwrap();
            for (dump, tables) in [
                (whole, "3"),
                (whole, ""),
                (&whole[..whole.len() - 14], "2"),
                ("-- Dump completed\nmore\n", "0"),
                ("", "0"),
            ] {
                let failure = judged(dump, tables, chunk).unwrap_err();
                assert_eq!(failure.code, FailureCode::SourceIncomplete, "{dump}");
            }
        }
    }
}

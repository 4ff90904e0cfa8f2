//! One database being dumped: whether what pg_dump wrote is whole, and holds every table that it should.

use super::archive::Archive;
use super::selection::{self, CLASS};
use super::{login, refused};
use crate::SourceReport;
use crate::database::{DatabaseLogin, PlannedStream};
use crate::reading::{self, Judge, Judged, Said, ended};
use crate::refusal;
use crate::stream::StreamReader;
use holdfast_domain::failure::printable;
use holdfast_domain::manifest::OmittedKind;
use holdfast_domain::warning::{Warning, WarningCode};
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_remote::Session;
use std::collections::HashSet;
use std::time::Duration;

/// What runs on the server.
pub(super) const PROGRAM: &str =
    concat!(include_str!("../say.sh"), include_str!("connect.sh"), include_str!("dump.sh"));

/// The end of our program where the tables could not be counted after the dump.
const NOT_COUNTED: u32 = 96;

/// How many missing tables a failure names by number.
const NAMED: usize = 5;

/// Starts pg_dump.
pub(super) async fn open(
    session: Session,
    stream: &PlannedStream,
    login: &DatabaseLogin,
    lock_wait: Duration,
) -> Result<Box<dyn StreamReader>, Failure> {
    let omitted = stream.facts.as_ref().map(|facts| facts.omitted.as_slice()).unwrap_or_default();
    let mut options = vec![format!("--lock-wait-timeout={}", lock_wait.as_millis())];
    options.extend(selection::options(omitted));
    // The names above are UTF-8, and pg_dump takes them in the encoding of the database unless told.
    if !options.iter().all(|option| option.is_ascii()) {
        options.push("--encoding=UTF8".to_owned());
    }
    let (port, count) = (login::port(login), options.len().to_string());
    let mut fields = login::fields(login, &port, &stream.name)?.to_vec();
    fields.push(count.as_bytes());
    fields.extend(options.iter().map(String::as_bytes));
    let gone = omitted.iter().filter(|one| matches!(one.kind, OmittedKind::Table | OmittedKind::View));
    let judge = PgDump {
        excluded: gone.filter_map(|one| one.catalogue_id).filter(|id| id.0 == CLASS).map(|id| id.1).collect(),
        ..PgDump::default()
    };
    Ok(Box::new(reading::open(session, PROGRAM, &fields, judge).await?))
}

/// What pg_dump means by what it writes.
#[derive(Default)]
struct PgDump {
    archive: Archive,
    excluded: HashSet<u32>,
    before: HashSet<u32>,
    after: HashSet<u32>,
    why: Option<FailureCode>,
}

impl Judge for PgDump {
    fn see(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.archive.feed(bytes).map_err(|malformed| {
            let detail = format!("what pg_dump writes is no archive: {malformed}.");
            Failure::new(Step::Stream, FailureCode::SourceIncomplete, detail)
        })
    }

    fn line(&mut self, text: &[u8]) -> Judged {
        let text = String::from_utf8_lossy(text);
        self.why = self.why.or(refused::tool(&text));
        judged("pg_dump", &text)
    }

    fn note(&mut self, key: &str, value: &[u8], _report: &mut SourceReport) -> Result<(), Failure> {
        let tables = match key {
            "before" => &mut self.before,
            "after" => &mut self.after,
            _ => return Ok(()),
        };
        let text = String::from_utf8_lossy(value);
        tables.extend(text.split(',').filter_map(|number| number.parse::<u32>().ok()));
        Ok(())
    }

    fn refused(&self, why: &str, what: &str) -> Failure {
        if why == "database" { refused::psql(Step::Start, 0, what) } else { refusal::of_source(why, what) }
    }

    fn end(&mut self, status: u32, report: &mut SourceReport, said: &Said<'_>) -> Result<(), Failure> {
        let fail = |code, detail: String| Err(Failure::new(Step::FinishSource, code, detail));
        match status {
            0 => {}
            NOT_COUNTED => {
                let detail = said.explain("the tables could not be counted after the dump");
                return fail(FailureCode::SourceFailed, detail);
            }
            _ => {
                let code = self.why.unwrap_or(FailureCode::SourceFailed);
                return fail(code, said.explain(&ended("pg_dump", status)));
            }
        }
        if !self.archive.is_known() {
            let tool = report.tools.get("pg_dump").map(String::as_str).unwrap_or_default();
            let detail = format!("the archive format of {} is not known, so its end cannot be proved.", tool);
            return fail(FailureCode::SourceIncomplete, detail);
        }
        if report.size_bytes == 0 || !self.archive.is_whole() {
            return fail(FailureCode::SourceIncomplete, "the archive ends in the middle.".to_owned());
        }
        report.tables = Some(self.archive.tables().len() as u64);
        self.check_tables()
    }
}

impl PgDump {
    /// What was there before and after, less what is excluded, against what was dumped.
    fn check_tables(&self) -> Result<(), Failure> {
        let dumped: HashSet<u32> = self.archive.tables().iter().copied().collect();
        let stayed = self.before.intersection(&self.after).filter(|oid| !self.excluded.contains(oid));
        let missing: Vec<_> = stayed.filter(|oid| !dumped.contains(oid)).collect();
        let numbers = |oids: &[&u32]| {
            let shown: Vec<_> = oids.iter().take(NAMED).map(|oid| oid.to_string()).collect();
            shown.join(", ")
        };
        if !missing.is_empty() {
            let detail = format!(
                "{} tables are not in the dump although they were there before and after it (oid {}).",
                missing.len(),
                numbers(&missing)
            );
            return Err(Failure::new(Step::FinishSource, FailureCode::SourceIncomplete, detail));
        }
        Ok(())
    }
}

/// A line of one of PostgreSQL's programs, or of the server through it.
pub(super) fn judged(program: &str, text: &str) -> Judged {
    let after = |mark: &str| text.strip_prefix(program).and_then(|rest| rest.strip_prefix(mark));
    if let Some(said) = after(": warning: ") {
        let code = match said.contains("not a superuser") || said.contains("permission denied") {
            true => WarningCode::RightMissing,
            false => WarningCode::NotStored,
        };
        return Judged::Warning(Warning { code, path: None, message: printable(&format!("{program}: {said}"), 500) });
    }
    // What follows a warning, a server's remark on its locale, and the wrapper of Debian that looks for a local cluster.
    let is_remark = ["WARNING: ", "NOTICE: ", "DETAIL: ", "HINT: ", "LOCATION: ", "Warning: No existing cluster"]
        .iter()
        .any(|mark| text.starts_with(mark));
    if is_remark || after(": detail: ").is_some() || after(": hint: ").is_some() || text.is_empty() {
        return Judged::Noise;
    }
    Judged::Unknown
}

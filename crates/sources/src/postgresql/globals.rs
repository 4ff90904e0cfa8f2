//! Roles and tablespaces of the whole server, as SQL. Ended well: exit status 0, and pg_dumpall's last line.

use super::{dump, login, refused};
use crate::SourceReport;
use crate::database::DatabaseLogin;
use crate::reading::{self, Judge, Judged, Said, ended};
use crate::refusal;
use crate::stream::StreamReader;
use holdfast_domain::warning::{Warning, WarningCode};
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_remote::Session;

/// What runs on the server.
pub(super) const PROGRAM: &str =
    concat!(include_str!("../say.sh"), include_str!("connect.sh"), include_str!("globals.sh"));

/// pg_dumpall's own end mark.
const END: &[u8] = b"-- PostgreSQL database cluster dump complete";

/// How much of the end is kept to look for it.
const TAIL: usize = 256;

/// Starts pg_dumpall, in the first database that lets us in.
pub(super) async fn open(
    session: Session,
    login: &DatabaseLogin,
    database: &str,
) -> Result<Box<dyn StreamReader>, Failure> {
    let port = login::port(login);
    let fields = login::fields(login, &port, database)?;
    Ok(Box::new(reading::open(session, PROGRAM, &fields, PgDumpAll::default()).await?))
}

/// What pg_dumpall means by what it writes.
#[derive(Default)]
struct PgDumpAll {
    tail: Vec<u8>,
    why: Option<FailureCode>,
}

impl Judge for PgDumpAll {
    fn see(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL)..]);
        self.tail.drain(..self.tail.len().saturating_sub(TAIL));
        Ok(())
    }

    fn line(&mut self, text: &[u8]) -> Judged {
        let text = String::from_utf8_lossy(text);
        self.why = self.why.or(refused::tool(&text));
        dump::judged("pg_dumpall", &text)
    }

    fn note(&mut self, key: &str, _value: &[u8], report: &mut SourceReport) -> Result<(), Failure> {
        if key == "without_passwords" {
            let message = "the roles' passwords are not stored: this user may not read pg_authid".to_owned();
            report.warnings.push(Warning {
                code: WarningCode::RightMissing,
                path: Some("globals".to_owned()),
                message,
            });
        }
        Ok(())
    }

    fn refused(&self, why: &str, what: &str) -> Failure {
        if why == "database" { refused::psql(Step::Start, 0, what) } else { refusal::of_source(why, what) }
    }

    fn end(&mut self, status: u32, _report: &mut SourceReport, said: &Said<'_>) -> Result<(), Failure> {
        if status != 0 {
            let code = self.why.unwrap_or(FailureCode::SourceFailed);
            return Err(Failure::new(Step::FinishSource, code, said.explain(&ended("pg_dumpall", status))));
        }
        if !self.tail.windows(END.len()).any(|window| window == END) {
            let detail = "the roles' dump has no end mark.";
            return Err(Failure::new(Step::FinishSource, FailureCode::SourceIncomplete, detail));
        }
        Ok(())
    }
}

//! What PostgreSQL's programs say when they cannot, and what it means for the user. libpq speaks English under our locale;
//! the server may speak any language, so what is not known is a refusal of the log-in, in the server's own words.

use holdfast_domain::{Failure, FailureCode, Step};

/// libpq's own sentences, and the server's while it starts or ends: nobody answers who could refuse anything.
const UNREACHABLE: [&str; 14] = [
    "Connection refused",
    "No such file or directory",
    "could not translate host name",
    "timeout expired",
    "Connection timed out",
    "No route to host",
    "Network is unreachable",
    "Connection reset by peer",
    "server closed the connection unexpectedly",
    "terminating connection",
    "the database system is ",
    "too many clients",
    "too many connections",
    "remaining connection slots",
];

/// Why no connection came about, from psql's text.
pub(super) fn connection(step: Step, said: &str) -> Failure {
    let is = |part: &str| said.contains(part);
    let code = if UNREACHABLE.iter().any(|part| is(part)) {
        FailureCode::DatabaseUnreachable
    } else if is("database \"") && is("\" does not exist") && !is("role \"") {
        FailureCode::MissingDatabase
    } else if is("permission denied for database") {
        FailureCode::MissingRight
    } else {
        FailureCode::DatabaseLoginFailed
    };
    Failure::new(step, code, sentence(said))
}

/// Why a statement of ours failed, by its SQLSTATE.
pub(super) fn statement(step: Step, said: &str) -> Failure {
    let code = match state(said) {
        Some("42501") => FailureCode::MissingRight,
        Some("55P03") => FailureCode::Stalled,
        Some("42P04") => FailureCode::TargetExists,
        Some("53100") => FailureCode::TargetUnwritable,
        Some("57P01" | "57P02" | "57P03") => FailureCode::DatabaseUnreachable,
        _ if UNREACHABLE.iter().any(|part| said.contains(part)) => FailureCode::DatabaseUnreachable,
        _ => FailureCode::SourceFailed,
    };
    Failure::new(step, code, sentence(said))
}

/// psql's end, of whichever kind: 2 is a connection that did not come about or was lost.
pub(super) fn psql(step: Step, status: u32, said: &str) -> Failure {
    if status == 2 || !said.contains("ERROR:") { connection(step, said) } else { statement(step, said) }
}

/// Whether pg_dump's or pg_restore's words are about a right, a version, a lock or the connection.
pub(super) fn tool(said: &str) -> Option<FailureCode> {
    let is = |part: &str| said.contains(part);
    if is("aborting because of server version mismatch") || is("unsupported version (") {
        Some(FailureCode::ClientTooOld)
    } else if is("permission denied") || is("must be owner of") || is("must be superuser") || is("row-level security") {
        Some(FailureCode::MissingRight)
    } else if is("lock timeout") || is("statement timeout") {
        // pg_dump sets the one to nothing, except while it waits for its locks.
        Some(FailureCode::Stalled)
    } else if UNREACHABLE.iter().any(|part| is(part)) {
        Some(FailureCode::DatabaseUnreachable)
    } else {
        None
    }
}

/// `ERROR:  42501: permission denied …` → `42501`.
fn state(said: &str) -> Option<&str> {
    let rest = said.split("ERROR:  ").nth(1)?;
    rest.split(':').next().filter(|state| state.len() == 5)
}

/// The lines that say something, as one sentence.
fn sentence(said: &str) -> String {
    let lines = said.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("LOCATION:"));
    let text = lines.collect::<Vec<_>>().join(" / ");
    let text = text.trim_end_matches('.');
    if text.is_empty() { "the database server gave no reason.".to_owned() } else { format!("{text}.") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_apart() {
        let at = "psql: error: connection to server at \"127.0.0.1\", port 5999 failed: ";
        for (said, code) in [
            ("Connection refused\n\tIs the server running on that host?", FailureCode::DatabaseUnreachable),
            ("FATAL:  the database system is starting up", FailureCode::DatabaseUnreachable),
            ("FATAL:  password authentication failed for user \"x\"", FailureCode::DatabaseLoginFailed),
            ("FATAL:  Passwort-Authentifizierung für Benutzer »x« fehlgeschlagen", FailureCode::DatabaseLoginFailed),
            ("fe_sendauth: no password supplied", FailureCode::DatabaseLoginFailed),
            ("FATAL:  role \"x\" does not exist", FailureCode::DatabaseLoginFailed),
            ("FATAL:  database \"host=evil port=1\" does not exist", FailureCode::MissingDatabase),
            ("FATAL:  permission denied for database \"x\"", FailureCode::MissingRight),
        ] {
            assert_eq!(psql(Step::Prepare, 2, &format!("{at}{said}")).code, code, "{said}");
        }
        let said = "psql:<stdin>:3: ERROR:  42501: permission denied to create database\nLOCATION:  createdb, x.c:1";
        let failure = psql(Step::Prepare, 3, said);
        assert_eq!(failure.code, FailureCode::MissingRight);
        assert!(!failure.detail.contains("LOCATION"), "{failure}");
    }
}

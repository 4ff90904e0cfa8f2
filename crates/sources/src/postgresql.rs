//! PostgreSQL databases.
//!
//! Needs on the server: a POSIX shell, `base64`, and `psql`, `pg_dump`, `pg_dumpall`, `pg_restore` at least as new as the
//! database server. Read by one `pg_dump -Fc -Z0` a database, in one snapshot. Ended well: exit status 0, an archive that is
//! whole ([`archive`]), and every table that was there before and after and is not excluded is in it. Put back by
//! `pg_restore` in one transaction, into a database made for it or one that exists.
//!
//! A database's name reaches the programs as `PGDATABASE` alone, never as an argument (which may be a connection string); the
//! password on standard input alone.

mod archive;
mod dump;
mod globals;
mod login;
mod planning;
mod refused;
mod restore;
mod rows;
mod selection;
#[cfg(test)]
mod shells;

use crate::asking::{Answer, ask};
use crate::database::{
    DatabaseInfo, DatabaseLogin, DatabasePlan, DatabaseTarget, PlannedKind, PlannedStream, TableInfo,
};
use crate::refusal;
use crate::stream::{StreamReader, StreamWriter};
use holdfast_domain::source::DatabaseSpec;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_remote::Session;
use rows::{DatabaseRow, Relation, Role, Row, Server};
use std::collections::BTreeMap;
use std::time::Duration;

/// Runs one of our constant queries.
const QUERY: &str =
    concat!(include_str!("say.sh"), include_str!("postgresql/connect.sh"), include_str!("postgresql/query.sh"));

/// Who we are there, all databases, and which of some roles there are.
const SERVER: &str = include_str!("postgresql/server.sql");

/// What one database holds, and whose it is.
const RELATIONS: &str = include_str!("postgresql/relations.sql");

/// Where one connects to ask about all of them.
const MAINTENANCE: [&str; 2] = ["postgres", "template1"];

/// How long pg_dump waits for a lock on a table that somebody else holds.
pub const LOCK_WAIT: Duration = Duration::from_secs(600);

/// A server that answered.
struct Found {
    server: Server,
    databases: Vec<DatabaseRow>,
    roles: Vec<Role>,
    tools: BTreeMap<String, String>,
    // The database that was asked.
    home: String,
}

/// The version of the server that answers.
///
/// # Errors
/// `missing_tool` (no client), `database_unreachable` (none answers), `database_login_failed` (one answers, and refuses), and
/// what the connection can say.
pub async fn greet(session: &mut Session, login: &DatabaseLogin) -> Result<String, Failure> {
    Ok(find(session, login, "", &[], &[]).await?.server.version)
}

/// Looks at the server and decides what is dumped.
///
/// # Errors
/// As [`crate::database::plan`].
pub async fn plan(session: &mut Session, spec: &DatabaseSpec, login: &DatabaseLogin) -> Result<DatabasePlan, Failure> {
    planning::plan(session, spec, login).await
}

/// Starts dumping one stream.
///
/// # Errors
/// As [`plan`].
pub async fn open(
    session: Session,
    plan: &DatabasePlan,
    stream: &PlannedStream,
    login: &DatabaseLogin,
) -> Result<Box<dyn StreamReader>, Failure> {
    match stream.kind {
        PlannedKind::Database => dump::open(session, stream, login, LOCK_WAIT).await,
        PlannedKind::Globals => {
            // Any database that lets us in will do.
            let home = plan.streams.iter().find(|stream| stream.kind == PlannedKind::Database);
            globals::open(session, login, home.map_or(MAINTENANCE[0], |stream| stream.name.as_str())).await
        }
    }
}

/// As [`open`] of a database, with another patience for locks than [`LOCK_WAIT`].
///
/// # Errors
/// As [`plan`].
pub async fn open_within(
    session: Session,
    stream: &PlannedStream,
    login: &DatabaseLogin,
    lock_wait: Duration,
) -> Result<Box<dyn StreamReader>, Failure> {
    dump::open(session, stream, login, lock_wait).await
}

/// Databases that this login can see, with their tables.
///
/// # Errors
/// As [`plan`].
pub async fn list(session: &mut Session, login: &DatabaseLogin) -> Result<Vec<DatabaseInfo>, Failure> {
    let found = find(session, login, "", &[], &[]).await?;
    let mut list = Vec::new();
    for database in found.databases.iter().filter(|database| database.connect) {
        let holds = holdings(session, login, &database.name, "1").await?;
        let tables = holds.relations.into_iter().filter(|r| matches!(r.kind, 'r' | 'p' | 'm' | 'f'));
        list.push(DatabaseInfo {
            name: database.name.clone(),
            size_bytes: database.size,
            tables: tables.map(|r| TableInfo { schema: Some(r.schema), name: r.name, size_bytes: r.size }).collect(),
        });
    }
    Ok(list)
}

/// Starts putting a dump back.
///
/// # Errors
/// As [`crate::database::restore`].
pub async fn restore(
    session: Session,
    target: &DatabaseTarget,
    login: &DatabaseLogin,
) -> Result<Box<dyn StreamWriter>, Failure> {
    restore::open(session, target, login).await
}

/// Asks the first database that lets us in: those for everybody, then those that are wanted.
async fn find(
    session: &mut Session,
    login: &DatabaseLogin,
    tool: &str,
    wanted: &[String],
    roles: &[String],
) -> Result<Found, Failure> {
    let roles = serde_json::to_string(roles).unwrap_or_default();
    let mut first = None;
    for home in MAINTENANCE.into_iter().chain(wanted.iter().map(String::as_str)) {
        match query(session, login, tool, (home, SERVER), &[("roles", &roles)]).await {
            Ok(answer) => return Found::read(&answer, home),
            // Only the database is at fault: another one may do.
            Err(failure) if matches!(failure.code, FailureCode::MissingDatabase | FailureCode::MissingRight) => {
                first.get_or_insert(failure);
            }
            Err(failure) => return Err(failure),
        }
    }
    Err(first.unwrap_or_else(|| Failure::new(Step::Prepare, FailureCode::MissingDatabase, "there is no database.")))
}

impl Found {
    fn read(answer: &Answer, home: &str) -> Result<Self, Failure> {
        let (mut server, mut databases, mut roles) = (None, Vec::new(), Vec::new());
        for row in rows::rows(answer)? {
            match row {
                Row::Server(row) => server = Some(row),
                Row::Database(row) => databases.push(row),
                Row::Role(row) => roles.push(row),
                _ => {}
            }
        }
        let server = server.ok_or_else(|| {
            Failure::new(Step::Prepare, FailureCode::SourceFailed, "the database server does not say what it is.")
        })?;
        Ok(Self { server, databases, roles, tools: answer.tools.clone(), home: home.to_owned() })
    }
}

/// What one database holds.
struct Holdings {
    relations: Vec<Relation>,
    unreadable_object: Option<u32>,
    owners: Vec<String>,
}

async fn holdings(
    session: &mut Session,
    login: &DatabaseLogin,
    database: &str,
    sizes: &str,
) -> Result<Holdings, Failure> {
    let answer = query(session, login, "", (database, RELATIONS), &[("sizes", sizes)]).await?;
    let mut holds = Holdings { relations: Vec::new(), unreadable_object: None, owners: Vec::new() };
    for row in rows::rows(&answer)? {
        match row {
            Row::Relation(row) => holds.relations.push(row),
            Row::LargeObject(row) => holds.unreadable_object = Some(row.oid),
            Row::Owner(row) => holds.owners.push(row.name),
            _ => {}
        }
    }
    Ok(holds)
}

/// Runs one of our queries in `database`, with values that psql quotes.
async fn query(
    session: &mut Session,
    login: &DatabaseLogin,
    tool: &str,
    (database, sql): (&str, &'static str),
    values: &[(&'static str, &str)],
) -> Result<Answer, Failure> {
    let port = login::port(login);
    let count = values.len().to_string();
    let mut fields = login::fields(login, &port, database)?.to_vec();
    fields.extend([tool.as_bytes(), sql.as_bytes(), count.as_bytes()]);
    fields.extend(values.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]));
    let answer = ask(session, QUERY, &fields).await?;
    if let Some((why, what)) = &answer.refused {
        return Err(refusal::of_source(why, what));
    }
    match answer.status {
        0 => Ok(answer),
        status => Err(refused::psql(Step::Prepare, status, &answer.said.join("\n"))),
    }
}

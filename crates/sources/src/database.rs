//! Databases of any engine: what is asked, what is found, and which engine's file does it.
//!
//! A database's name is one identifier, never a connection string; a password travels on standard input alone.

use crate::stream::{StreamReader, StreamWriter};
use crate::{mariadb, postgresql};
use holdfast_domain::manifest::DatabaseFacts;
use holdfast_domain::source::{DatabaseSpec, Engine, EngineChoice};
use holdfast_domain::warning::Warnings;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_remote::Session;
use secrecy::SecretString;
use std::collections::BTreeMap;

/// How to log in to a database server, seen from the remote server.
#[derive(Clone)]
pub struct DatabaseLogin {
    /// Where it runs; none = its local socket.
    pub host: Option<String>,
    /// Its port; none = the engine's own.
    pub port: Option<u16>,
    /// None = the user who is logged in there.
    pub username: Option<String>,
    /// None = none is sent (socket authentication).
    pub password: Option<SecretString>,
}

/// What will be dumped.
pub struct DatabasePlan {
    /// Whose databases.
    pub engine: Engine,
    /// Streams of the backup, in order.
    pub streams: Vec<PlannedStream>,
    /// What is to be said before a byte moves: names that match nothing, dependents that a restore leaves out.
    pub warnings: Warnings,
    /// `mariadb-dump` → its version, and so on.
    pub tools: BTreeMap<String, String>,
}

/// One stream of a plan.
pub struct PlannedStream {
    /// The database's name, or `globals`.
    pub name: String,
    /// What is dumped.
    pub kind: PlannedKind,
    /// For the manifest and the restore; none of globals.
    pub facts: Option<DatabaseFacts>,
}

/// What a planned stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlannedKind {
    /// One database.
    Database,
    /// Roles and tablespaces.
    Globals,
}

/// A database that can be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseInfo {
    /// Its name.
    pub name: String,
    /// As its server says.
    pub size_bytes: u64,
    /// Its tables, by schema and name.
    pub tables: Vec<TableInfo>,
}

/// A table that can be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableInfo {
    /// Schema, where the engine has them within a database.
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
    /// Table and indexes, as the server says.
    pub size_bytes: u64,
}

/// Where a dump goes.
#[derive(Clone, Debug)]
pub struct DatabaseTarget {
    /// The database.
    pub database: String,
    /// Whether it may exist; else it is made, and dropped again on failure.
    pub existing: bool,
    /// From the manifest.
    pub facts: DatabaseFacts,
    /// Log in, compare versions, look whether the target could be made; change nothing.
    pub dry_run: bool,
}

impl PlannedStream {
    /// The manifest's format: `sql` or `pgdump`.
    #[must_use]
    pub fn format(&self, engine: Engine) -> &'static str {
        match (engine, self.kind) {
            (Engine::Postgresql, PlannedKind::Database) => "pgdump",
            _ => "sql",
        }
    }
}

/// Looks at the server and decides what is dumped.
///
/// # Errors
/// `database_unreachable`, `database_login_failed`, `missing_database`, `missing_tool`, `missing_right`,
/// `client_too_old`, `invalid_config` (everything is excluded, or two engines answer), and what the connection can say.
pub async fn plan(session: &mut Session, spec: &DatabaseSpec, login: &DatabaseLogin) -> Result<DatabasePlan, Failure> {
    match family(session, spec.engine, login).await? {
        Family::Mariadb => mariadb::plan(session, spec, login).await,
        Family::Postgresql => postgresql::plan(session, spec, login).await,
    }
}

/// Starts dumping one stream of `plan`; each takes a connection of its own.
///
/// # Errors
/// As [`plan`].
pub async fn open(
    session: Session,
    plan: &DatabasePlan,
    stream: &PlannedStream,
    login: &DatabaseLogin,
) -> Result<Box<dyn StreamReader>, Failure> {
    match plan.engine {
        Engine::Mysql | Engine::Mariadb => mariadb::open(session, plan, stream, login).await,
        Engine::Postgresql => postgresql::open(session, plan, stream, login).await,
    }
}

/// Databases that this login can see, with their tables.
///
/// # Errors
/// As [`plan`].
pub async fn list(
    session: &mut Session,
    engine: EngineChoice,
    login: &DatabaseLogin,
) -> Result<(Engine, Vec<DatabaseInfo>), Failure> {
    match family(session, engine, login).await? {
        Family::Mariadb => mariadb::list(session, engine, login).await,
        Family::Postgresql => Ok((Engine::Postgresql, postgresql::list(session, login).await?)),
    }
}

/// Starts putting a dump back.
///
/// # Errors
/// As [`plan`], and `target_exists`, `client_unsafe`.
pub async fn restore(
    session: Session,
    target: &DatabaseTarget,
    login: &DatabaseLogin,
) -> Result<Box<dyn StreamWriter>, Failure> {
    match target.facts.engine {
        Engine::Mysql | Engine::Mariadb => mariadb::restore(session, target, login).await,
        Engine::Postgresql => postgresql::restore(session, target, login).await,
    }
}

/// Whose programs do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    // One protocol, two makers: which of them it is, the server's version says.
    Mariadb,
    Postgresql,
}

/// The chosen engine's family, or that of the only engine that answers.
async fn family(session: &mut Session, choice: EngineChoice, login: &DatabaseLogin) -> Result<Family, Failure> {
    match choice.engine() {
        Some(Engine::Mysql | Engine::Mariadb) => return Ok(Family::Mariadb),
        Some(Engine::Postgresql) => return Ok(Family::Postgresql),
        None => {}
    }
    let mariadb = mariadb::greet(session, login, choice).await;
    if let Err(failure) = &mariadb {
        is_answer(failure)?;
    }
    let postgresql = postgresql::greet(session, login).await;
    if let Err(failure) = &postgresql {
        is_answer(failure)?;
    }
    choose(mariadb, postgresql)
}

/// An error where `failure` says nothing of a database server: the connection itself failed.
fn is_answer(failure: &Failure) -> Result<(), Failure> {
    match failure.code {
        FailureCode::ConnectionLost | FailureCode::Stalled => Err(failure.clone()),
        _ => Ok(()),
    }
}

fn choose(mariadb: Result<String, Failure>, postgresql: Result<String, Failure>) -> Result<Family, Failure> {
    match (mariadb, postgresql) {
        (Ok(_), Err(_)) => Ok(Family::Mariadb),
        (Err(_), Ok(_)) => Ok(Family::Postgresql),
        (Ok(mariadb), Ok(postgresql)) => {
            let detail = format!(
                "{mariadb} and PostgreSQL {postgresql} both answer; the task must say which `engine` it means."
            );
            Err(Failure::new(Step::Prepare, FailureCode::InvalidConfig, detail))
        }
        // One that refuses us is there; one whose client is missing says least.
        (Err(one), Err(other)) => Err(if telling(&one) >= telling(&other) { one } else { other }),
    }
}

fn telling(failure: &Failure) -> u8 {
    match failure.code {
        FailureCode::MissingTool => 0,
        FailureCode::DatabaseUnreachable => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(code: FailureCode) -> Result<String, Failure> {
        Err(Failure::new(Step::Prepare, code, ""))
    }

    #[test]
    fn the_only_engine_that_answers_is_taken_and_two_are_a_question() {
        use FailureCode::{DatabaseLoginFailed, DatabaseUnreachable, InvalidConfig, MissingTool};
        let ok = || Ok("1".to_owned());
        assert_eq!(choose(ok(), failed(DatabaseLoginFailed)), Ok(Family::Mariadb));
        assert_eq!(choose(failed(MissingTool), ok()), Ok(Family::Postgresql));
        for (mariadb, postgresql, code) in [
            (ok(), ok(), InvalidConfig),
            (failed(DatabaseUnreachable), failed(DatabaseLoginFailed), DatabaseLoginFailed),
            (failed(DatabaseUnreachable), failed(MissingTool), DatabaseUnreachable),
            (failed(MissingTool), failed(MissingTool), MissingTool),
        ] {
            assert_eq!(choose(mariadb, postgresql).map_err(|failure| failure.code), Err(code));
        }
    }
}

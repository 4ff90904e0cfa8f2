//! What of a server is dumped: its databases, and of each what is left out and what that leaves without ground. Only the
//! catalogue is read, and no lock is waited for.

use super::rows::{DatabaseRow, Needy, Row, rows};
use super::selection::{Matched, Selection};
use super::{Found, find, holdings, query};
use crate::database::{DatabaseLogin, DatabasePlan, PlannedKind, PlannedStream};
use holdfast_domain::failure::printable;
use holdfast_domain::manifest::DatabaseFacts;
use holdfast_domain::source::{DatabaseSpec, Engine};
use holdfast_domain::warning::{Warning, WarningCode, Warnings};
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_remote::Session;
use std::collections::BTreeSet;

/// What needs the excluded tables.
const DEPENDENTS: &str = include_str!("dependents.sql");

/// Databases of hosting providers that nobody else may enter: never meant by "all".
const PROVIDERS: [&str; 4] = ["rdsadmin", "cloudsqladmin", "azure_maintenance", "azure_sys"];

/// A plan being made.
struct Planning<'a> {
    session: &'a mut Session,
    login: &'a DatabaseLogin,
    spec: &'a DatabaseSpec,
    found: &'a Found,
    // Only one database is dumped.
    is_alone: bool,
    matched: Matched,
    warnings: Warnings,
}

/// As [`super::plan`].
pub(super) async fn plan(
    session: &mut Session,
    spec: &DatabaseSpec,
    login: &DatabaseLogin,
) -> Result<DatabasePlan, Failure> {
    let found = find(session, login, "pg_dump", &spec.databases, &[]).await?;
    check_client(&found)?;
    let mut warnings = Warnings::default();
    let databases = chosen(&found, spec, &mut warnings)?;
    let (is_alone, matched) = (databases.len() == 1, Matched::default());
    let mut planning = Planning { session, login, spec, found: &found, is_alone, matched, warnings };
    let mut streams = Vec::new();
    for database in databases {
        let facts = Some(planning.facts(database).await?);
        streams.push(PlannedStream { name: database.name.clone(), kind: PlannedKind::Database, facts });
    }
    let Planning { matched, mut warnings, .. } = planning;
    matched.warn(spec, &mut warnings);
    if spec.globals.unwrap_or(spec.databases.is_empty()) {
        streams.push(PlannedStream { name: "globals".to_owned(), kind: PlannedKind::Globals, facts: None });
    }
    Ok(DatabasePlan { engine: Engine::Postgresql, streams, warnings, tools: found.tools })
}

impl Planning<'_> {
    async fn facts(&mut self, database: &DatabaseRow) -> Result<DatabaseFacts, Failure> {
        let name = &database.name;
        let holds = holdings(self.session, self.login, name, "0").await?;
        let mut selection = Selection::choose(self.spec, name, self.is_alone, &holds.relations, &mut self.matched);
        let needy = match selection.is_empty() {
            true => Vec::new(),
            false => self.dependents(name, &selection).await?,
        };
        let omitted = selection.omit(&holds.relations, &needy);
        selection.check(name, &holds.relations)?;
        if let Some(oid) = holds.unreadable_object {
            let detail = format!("this user may not read large object {oid} of database {}.", printable(name, 100));
            return Err(Failure::new(Step::Prepare, FailureCode::MissingRight, detail));
        }
        selection.warn(name, &omitted, &mut self.warnings);
        Ok(DatabaseFacts {
            engine: Engine::Postgresql,
            server_version: self.found.server.version.clone(),
            tables: selection.tables(&holds.relations),
            settings: database.settings.clone(),
            roles: holds.owners,
            omitted,
        })
    }

    async fn dependents(&mut self, database: &str, selection: &Selection) -> Result<Vec<Needy>, Failure> {
        let rowless = selection.gone.union(&selection.rowless).copied().collect();
        let [gone, emptied, rowless] = [&selection.gone, &selection.emptied, &rowless].map(array);
        let values = [("gone", gone.as_str()), ("emptied", &emptied), ("rowless", &rowless)];
        let answer = query(self.session, self.login, "", (database, DEPENDENTS), &values).await?;
        let needy = rows(&answer)?.into_iter().filter_map(|row| match row {
            Row::Needy(row) => Some(row),
            _ => None,
        });
        Ok(needy.collect())
    }
}

/// Numbers as an array of PostgreSQL's.
fn array(oids: &BTreeSet<u32>) -> String {
    let oids: Vec<_> = oids.iter().map(u32::to_string).collect();
    format!("{{{}}}", oids.join(","))
}

/// The databases that are meant: those named, all of them there, or every one that we may enter.
fn chosen<'a>(found: &'a Found, spec: &DatabaseSpec, warnings: &mut Warnings) -> Result<Vec<&'a DatabaseRow>, Failure> {
    let shut = |name: &str| format!("this user may not connect to database {}", printable(name, 100));
    let refuse = |code, detail: String| Err(Failure::new(Step::Prepare, code, detail));
    if spec.databases.is_empty() {
        let (open, closed): (Vec<_>, Vec<_>) = found.databases.iter().partition(|row| row.connect);
        for row in closed.into_iter().filter(|row| !PROVIDERS.contains(&row.name.as_str())) {
            let path = Some(printable(&row.name, 1024));
            warnings.push(Warning { code: WarningCode::RightMissing, path, message: shut(&row.name) });
        }
        return match open.is_empty() {
            true => refuse(FailureCode::MissingDatabase, "there is no database that this user may enter.".to_owned()),
            false => Ok(open),
        };
    }
    let mut chosen: Vec<&DatabaseRow> = Vec::new();
    for name in &spec.databases {
        match found.databases.iter().find(|row| row.name == *name) {
            None => {
                let detail = format!("the server has no database {:?} that can be dumped.", printable(name, 100));
                return refuse(FailureCode::MissingDatabase, detail);
            }
            Some(row) if !row.connect => return refuse(FailureCode::MissingRight, format!("{}.", shut(name))),
            Some(row) if chosen.iter().any(|other| other.name == row.name) => {}
            Some(row) => chosen.push(row),
        }
    }
    Ok(chosen)
}

/// pg_dump refuses a server of a newer major version; said before anything is started.
fn check_client(found: &Found) -> Result<(), Failure> {
    let version = found.tools.get("pg_dump").map(String::as_str).unwrap_or_default();
    let major = version.split(|c: char| !c.is_ascii_digit()).find_map(|number| number.parse::<u32>().ok());
    match major {
        Some(major) if major < found.server.number / 10_000 => {
            let detail = format!("{version} cannot read a server of version {}.", printable(&found.server.version, 60));
            Err(Failure::new(Step::Prepare, FailureCode::ClientTooOld, detail))
        }
        _ => Ok(()),
    }
}

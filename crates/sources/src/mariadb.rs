//! Databases of MariaDB and MySQL, each as one SQL dump.
//!
//! Needs on the server: a POSIX shell, `base64`, `mariadb` or `mysql`, `mariadb-dump` or `mysqldump`. Read by one dump
//! program per database, in one transaction. Ended well: its status is 0, the last line is `-- Dump completed`, and as many
//! tables passed by as the catalogue had a moment before. Put back by [`mod@restore`]'s client, whose own commands are switched
//! off. A name of the user's is never an option, nor part of SQL: it stands after `--`, after `=` in one argument, or as
//! hexadecimal digits that the server quotes. MySQL's own programs and server were not tried: they are not in Debian.

mod catalogue;
mod choice;
mod dump;
mod errors;
mod grants;
mod login;
mod restore;
#[cfg(test)]
mod shells;

use crate::asking::{Answer, ask};
use crate::database::{
    DatabaseInfo, DatabaseLogin, DatabasePlan, DatabaseTarget, PlannedKind, PlannedStream, TableInfo,
};
use crate::reading;
use crate::refusal;
use crate::stream::{StreamReader, StreamWriter};
use catalogue::{Catalogue, Database};
use holdfast_domain::manifest::DatabaseFacts;
use holdfast_domain::source::{DatabaseSpec, Engine, EngineChoice};
use holdfast_domain::warning::{Warning, WarningCode, Warnings};
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_remote::Session;
use login::Fields;
use std::collections::{BTreeMap, HashMap};

const ASK: &str = concat!(include_str!("say.sh"), include_str!("mariadb/client.sh"), include_str!("mariadb/ask.sh"));

/// Statements that need no database.
const ONCE: &str = include_str!("mariadb/once.sql");
const TABLES: &str = include_str!("mariadb/tables.sql");
/// Statements for each database.
const EACH: &str = include_str!("mariadb/each.sql");
/// And when something is excluded: which view names which table.
const EACH_WITH_USES: &str = concat!(include_str!("mariadb/each.sql"), include_str!("mariadb/uses.sql"));
/// How many tables a database has, and how many of them keep a history.
const COUNT: &str = include_str!("mariadb/count.sql");

/// They hold no data of a customer's, or accounts that a restore must not replace.
const SYSTEM: [&str; 4] = ["information_schema", "performance_schema", "sys", "mysql"];

/// A server that answered, and what it said of itself.
struct Found {
    catalogue: Catalogue,
    tools: BTreeMap<String, String>,
}

/// Whether a server answers this login.
///
/// # Errors
/// As [`crate::database::plan`].
pub async fn greet(session: &mut Session, login: &DatabaseLogin, choice: EngineChoice) -> Result<String, Failure> {
    Ok(query(session, login, choice, (ONCE, EACH), &[]).await?.catalogue.version)
}

/// Looks at the server and decides what is dumped.
///
/// # Errors
/// As [`crate::database::plan`].
pub async fn plan(session: &mut Session, spec: &DatabaseSpec, login: &DatabaseLogin) -> Result<DatabasePlan, Failure> {
    let overview = query(session, login, spec.engine, (ONCE, EACH), &[]).await?;
    let names = selected(spec, &overview.catalogue)?;
    let excludes = !spec.excluded_tables.is_empty() || !spec.excluded_table_data.is_empty();
    let each = if excludes { EACH_WITH_USES } else { EACH };
    let Found { catalogue, tools } = query(session, login, spec.engine, (ONCE, each), &names).await?;
    let engine = catalogue.engine();
    let mut warnings = Warnings::default();
    let mut streams = Vec::new();
    let mut exclusions = choice::Exclusions::new(spec);
    for name in names {
        let database = catalogue.database(&name).ok_or_else(|| gone(&name))?;
        may_dump(&catalogue, database, &mut warnings)?;
        let chosen = exclusions.apply(database, &mut warnings)?;
        let facts = DatabaseFacts {
            engine,
            server_version: catalogue.version.clone(),
            tables: chosen.tables,
            omitted: chosen.omitted,
            settings: database.settings(),
            roles: Vec::new(),
        };
        streams.push(PlannedStream { name, kind: PlannedKind::Database, facts: Some(facts) });
    }
    exclusions.unmatched().into_iter().for_each(|warning| warnings.push(warning));
    Ok(DatabasePlan { engine, streams, warnings, tools })
}

/// Starts dumping one stream.
///
/// # Errors
/// As [`crate::database::plan`].
pub async fn open(
    session: Session,
    plan: &DatabasePlan,
    stream: &PlannedStream,
    login: &DatabaseLogin,
) -> Result<Box<dyn StreamReader>, Failure> {
    let omitted = stream.facts.as_ref().map(|facts| facts.omitted.as_slice()).unwrap_or_default();
    let fields = dump::fields(plan.engine, &stream.name, omitted, login)?;
    let reader = reading::open(session, dump::PROGRAM, &fields.bytes(), dump::Dump::new(omitted)).await?;
    Ok(Box::new(reader))
}

/// Databases that this login can see, with their tables.
///
/// # Errors
/// As [`crate::database::plan`].
pub async fn list(
    session: &mut Session,
    choice: EngineChoice,
    login: &DatabaseLogin,
) -> Result<(Engine, Vec<DatabaseInfo>), Failure> {
    let statements = [ONCE, TABLES].concat();
    let catalogue = query(session, login, choice, (&statements, EACH), &[]).await?.catalogue;
    let mut databases: Vec<DatabaseInfo> = catalogue
        .names()
        .filter(|name| !SYSTEM.contains(name))
        .map(|name| DatabaseInfo { name: name.to_owned(), size_bytes: 0, tables: Vec::new() })
        .collect();
    let places: HashMap<String, usize> =
        databases.iter().enumerate().map(|(at, database)| (database.name.clone(), at)).collect();
    for (database, table, size_bytes) in &catalogue.tables {
        if let Some(info) = places.get(database).and_then(|at| databases.get_mut(*at)) {
            info.size_bytes = info.size_bytes.saturating_add(*size_bytes);
            info.tables.push(TableInfo { schema: None, name: table.clone(), size_bytes: *size_bytes });
        }
    }
    Ok((catalogue.engine(), databases))
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
    Ok(Box::new(restore::open(session, target, login).await?))
}

async fn query(
    session: &mut Session,
    login: &DatabaseLogin,
    choice: EngineChoice,
    (once, each): (&str, &str),
    databases: &[String],
) -> Result<Found, Failure> {
    let mut fields = Fields::log_in(login, choice.engine())?;
    fields.push(once);
    fields.push(each);
    fields.push_list(databases)?;
    let answer = ask(session, ASK, &fields.bytes()).await?;
    judge(&answer)?;
    Ok(Found { catalogue: Catalogue::parse(&answer.lines, databases)?, tools: answer.tools })
}

fn judge(answer: &Answer) -> Result<(), Failure> {
    if let Some((why, what)) = &answer.refused {
        return Err(refusal::of_source(why, what));
    }
    if answer.status == 0 {
        return Ok(());
    }
    let unknown = || {
        let what = format!("the client ended with status {}", answer.status);
        Failure::new(Step::Prepare, FailureCode::SourceFailed, answer.said().explain(&what))
    };
    Err(errors::first(&answer.said, Step::Prepare).unwrap_or_else(unknown))
}

/// The wanted databases, each once.
fn selected(spec: &DatabaseSpec, catalogue: &Catalogue) -> Result<Vec<String>, Failure> {
    let failure = |code, detail: String| Failure::new(Step::Prepare, code, detail);
    let mut names: Vec<String> = Vec::new();
    for name in &spec.databases {
        if SYSTEM[..3].contains(&name.as_str()) {
            let detail = format!("{name} is made by the server itself; there is nothing in it to back up.");
            return Err(failure(FailureCode::InvalidConfig, detail));
        }
        if catalogue.database(name).is_none() {
            let detail = format!("{name:?} is not there, or {} may not see it.", catalogue.user);
            return Err(failure(FailureCode::MissingDatabase, detail));
        }
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    if spec.databases.is_empty() {
        names = catalogue.names().filter(|name| !SYSTEM.contains(name)).map(str::to_owned).collect();
    }
    if names.is_empty() {
        let detail = format!("{} sees no database.", catalogue.user);
        return Err(failure(FailureCode::MissingDatabase, detail));
    }
    Ok(names)
}

/// Refuses where something could be missing from the dump without a word: a server shows nobody what he has no right to.
fn may_dump(catalogue: &Catalogue, database: &Database, warnings: &mut Warnings) -> Result<(), Failure> {
    let missing = |what: String| Err(Failure::new(Step::Prepare, FailureCode::MissingRight, what));
    let held = catalogue.grants.on(&database.name);
    let mut wanted = vec!["SELECT", "TRIGGER", "EVENT"];
    if database.has_views() {
        wanted.insert(1, "SHOW VIEW");
    }
    wanted.retain(|right| !held.has(right));
    if !wanted.is_empty() {
        let unreadable = database.without_select(&catalogue.grants);
        let tables = if unreadable.is_empty() { String::new() } else { format!(" (table {})", unreadable.join(", ")) };
        let (user, name) = (&catalogue.user, &database.name);
        return missing(format!("{user} has no {} on database {name:?}{tables}.", wanted.join(", ")));
    }
    if let Some(routine) = database.hidden_routine() {
        let (user, name) = (&catalogue.user, &database.name);
        let detail = format!(
            "{user} may not read the definition of routine {routine:?} in database {name:?}; it needs SELECT on mysql.proc."
        );
        return missing(detail);
    }
    if !catalogue.grants.sees_routines(&database.name) {
        warnings.push(Warning {
            code: WarningCode::RightMissing,
            path: Some(database.name.clone()),
            message: format!(
                "{} cannot see procedures and functions of others; grant SELECT on mysql.proc (MySQL: SHOW_ROUTINE)",
                catalogue.user
            ),
        });
    }
    Ok(())
}

fn gone(name: &str) -> Failure {
    Failure::new(Step::Prepare, FailureCode::MissingDatabase, format!("{name:?} went away."))
}

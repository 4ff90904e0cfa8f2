//! Putting a dump back into a database of MariaDB or MySQL: a new one, which goes away again unless all of it arrived and
//! as many tables are there as were dumped; or one that exists, of which nobody can say what is in it after a failure.
//! The client may do nothing but send statements; a name reaches the server as hexadecimal digits and is quoted there.

use super::errors;
use super::login::Fields;
use crate::database::{DatabaseLogin, DatabaseTarget};
use crate::framed::{Framed, Hearer};
use crate::lines::{Line, Words};
use crate::refusal;
use crate::stream::{Restored, StreamWriter};
use async_trait::async_trait;
use bytes::Bytes;
use holdfast_domain::failure::printable;
use holdfast_domain::manifest::{DatabaseFacts, OmittedKind};
use holdfast_domain::warning::{Warning, WarningCode, Warnings};
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_remote::Session;
use std::time::Duration;

pub(super) const PROGRAM: &str = concat!(
    include_str!("../say.sh"),
    include_str!("../feed.sh"),
    include_str!("client.sh"),
    include_str!("restore.sh")
);

/// Tables and bytes of a database.
const SIZE: &str = include_str!("size.sql");

/// How long it may take to drop what was made.
const CLEANING: Duration = Duration::from_secs(40);

/// Looks whether the target could be made, and makes it unless this is a dry run.
pub(super) async fn open(
    session: Session,
    target: &DatabaseTarget,
    login: &DatabaseLogin,
) -> Result<MariadbWriter, Failure> {
    let fields = fields(target, login)?;
    let mut framed = Framed::start(session, PROGRAM, &fields.bytes(), State::default()).await?;
    framed.until(|state| state.ready).await?;
    Ok(MariadbWriter {
        framed,
        expected: target.facts.tables,
        version: target.facts.server_version.clone(),
        dry_run: target.dry_run,
        wrote: false,
        warnings: left_out(&target.facts),
    })
}

/// The program's variables, in the order in which it reads them.
pub(super) fn fields(target: &DatabaseTarget, login: &DatabaseLogin) -> Result<Fields, Failure> {
    let mut fields = Fields::log_in(login, Some(target.facts.engine))?;
    let flag = |on: bool| if on { "1" } else { "0" };
    fields.push_name(&target.database)?;
    fields.push(flag(target.existing));
    fields.push(flag(target.dry_run));
    let name = format!("SET @d = {};\n", literal(&target.database));
    fields.push(&format!(
        "{name}SELECT CONCAT(COUNT(*), ' ', VERSION()) FROM information_schema.schemata WHERE BINARY schema_name = BINARY @d;"
    ));
    fields
        .push(&format!("{name}{}", execute(&format!("'CREATE DATABASE ', {}{}", quoted("@d"), like(&target.facts)?))));
    fields.push(&format!("{name}{}", execute(&format!("'DROP DATABASE IF EXISTS ', {}", quoted("@d")))));
    fields.push(&without_keys(&target.facts));
    fields.push(SIZE);
    Ok(fields)
}

/// Text as the server reads it back, whatever it holds.
fn literal(text: &str) -> String {
    format!("CONVERT(X'{}' USING utf8mb4)", hex::encode(text))
}

/// An expression for the quoted name in `variable`.
fn quoted(variable: &str) -> String {
    format!("'`', REPLACE({variable}, '`', '``'), '`'")
}

fn execute(parts: &str) -> String {
    format!("SET @s = CONCAT({parts});\nPREPARE s FROM @s;\nEXECUTE s;\nDEALLOCATE PREPARE s;\n")
}

/// How a new database is made like the dumped one.
fn like(facts: &DatabaseFacts) -> Result<String, Failure> {
    let setting = |key: &str| facts.settings.get(key).filter(|value| !value.is_empty());
    let is_word = |value: &str| value.len() <= 64 && value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let mut clauses = String::new();
    for (key, clause) in [("character_set", "CHARACTER SET"), ("collation", "COLLATE")] {
        let Some(value) = setting(key) else { continue };
        if !is_word(value) {
            let detail = format!("{value:?} is no {key}.");
            return Err(Failure::new(Step::Prepare, FailureCode::ManifestInvalid, detail));
        }
        clauses.push_str(&format!(", ' {clause} {value}'"));
    }
    Ok(clauses)
}

/// A foreign key to what is not there, or has no rows, would refuse every later write.
fn without_keys(facts: &DatabaseFacts) -> String {
    let keys = facts.omitted.iter().filter(|one| one.kind == OmittedKind::ForeignKey);
    let drops = keys.filter_map(|key| {
        let (table, name) = (literal(key.table.as_deref()?), literal(&key.name));
        let drop = format!("'ALTER TABLE ', {}, ' DROP FOREIGN KEY ', {}", quoted("@t"), quoted("@k"));
        Some(format!("SET @t = {table}, @k = {name};\n{}", execute(&drop)))
    });
    drops.collect()
}

/// What the task excluded, said again where somebody may look for it.
fn left_out(facts: &DatabaseFacts) -> Warnings {
    let mut warnings = Warnings::default();
    for one in &facts.omitted {
        let message = match one.kind {
            OmittedKind::Table => "is a table that the task excludes",
            OmittedKind::Rows => "has no rows, because the task excludes them",
            OmittedKind::View => "is a view that was left out with a table it needs",
            OmittedKind::ForeignKey => "is a foreign key that was left out with the table it refers to",
            OmittedKind::Other => "was left out with what the task excludes",
        };
        let table = one.table.as_ref().map(|table| format!("{table}.")).unwrap_or_default();
        let path = Some(printable(&format!("{table}{}", one.name), 300));
        warnings.push(Warning { code: WarningCode::NotRestored, path, message: message.to_owned() });
    }
    warnings
}

/// A dump of a newer server, or of the other maker's, may hold what this one does not understand.
fn warn_of_version(dumped: &str, here: &str) -> Option<Warning> {
    let of = |version: &str| {
        let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map_while(|n| n.parse::<u32>().ok());
        Some((version.contains("MariaDB"), numbers.next()?, numbers.next()?))
    };
    let ((maker, major, minor), (maker_here, major_here, minor_here)) = (of(dumped)?, of(here)?);
    let may_refuse = maker != maker_here || (major, minor) > (major_here, minor_here);
    may_refuse.then(|| Warning {
        code: WarningCode::NotRestored,
        path: None,
        message: format!("the dump is of {}, and {} may refuse it", printable(dumped, 60), printable(here, 60)),
    })
}

/// A dump on its way back.
pub struct MariadbWriter {
    framed: Framed<State>,
    expected: u64,
    version: String,
    dry_run: bool,
    wrote: bool,
    warnings: Warnings,
}

/// What the program has said so far.
#[derive(Default)]
struct State {
    ready: bool,
    existed: bool,
    done: bool,
    loaded: Option<Loaded>,
    left: Option<String>,
    server: String,
    refused: Option<Failure>,
    said: Vec<String>,
}

/// `holdfast:loaded STATUS TABLES BYTES`
#[derive(Clone, Copy)]
struct Loaded {
    status: u32,
    tables: u64,
    size_bytes: u64,
}

impl MariadbWriter {
    /// What can be done about `failure`: nothing is there any more, or nobody knows what is.
    fn told(&mut self, failure: Failure) -> Failure {
        let state = self.framed.hearer();
        if let Some(left) = &state.left {
            let detail = format!("{} The new database {left:?} could not be dropped.", failure.detail);
            return Failure::new(Step::Place, FailureCode::TargetIncomplete, detail);
        }
        if state.existed && self.wrote {
            return Failure::new(Step::Place, FailureCode::TargetIncomplete, failure.detail);
        }
        failure
    }

    async fn load(&mut self) -> Result<Loaded, Failure> {
        self.framed.end().await?;
        self.framed.until(|state| state.loaded.is_some()).await?;
        let loaded = self.framed.peek().loaded.unwrap_or(Loaded { status: 1, tables: 0, size_bytes: 0 });
        if loaded.status != 0 {
            // Its reason comes on another stream than this number, and may come later.
            self.framed.until_exit().await?;
            let (state, words) = self.framed.heard();
            return Err(state.why_ended(loaded.status, words));
        }
        if loaded.tables < self.expected {
            let detail = format!("{} tables are there, {} were dumped.", loaded.tables, self.expected);
            return Err(Failure::new(Step::Stage, FailureCode::RestoreIncomplete, detail));
        }
        Ok(loaded)
    }

    /// Nobody can say what a word that may have been heard has done.
    async fn keep(&mut self) -> Result<(), Failure> {
        let unsure = |failure: Failure| {
            let detail = format!("whether the new database was kept is not known: {}", failure.detail);
            Failure::new(Step::Place, FailureCode::TargetIncomplete, detail)
        };
        self.framed.say("keep").await.map_err(unsure)?;
        self.framed.until(|state| state.done).await.map_err(unsure)?;
        let _ = self.framed.until_exit().await;
        Ok(())
    }
}

#[async_trait]
impl StreamWriter for MariadbWriter {
    async fn write(&mut self, bytes: Bytes) -> Result<(), Failure> {
        self.wrote = true;
        match self.framed.write(bytes).await {
            Ok(()) => Ok(()),
            Err(failure) => Err(self.told(failure)),
        }
    }

    async fn finish(mut self: Box<Self>) -> Result<Restored, Failure> {
        if self.dry_run {
            let _ = self.framed.until_exit().await;
            let mut warnings = std::mem::take(&mut self.warnings);
            warn_of_version(&self.version, &self.framed.peek().server).into_iter().for_each(|w| warnings.push(w));
            return Ok(Restored { warnings, ..Restored::default() });
        }
        let loaded = match self.load().await {
            Ok(loaded) => loaded,
            Err(failure) => {
                let is_gone = self.framed.undo(CLEANING).await;
                let failure = self.told(failure);
                if !is_gone {
                    self.framed.cut(CLEANING).await;
                }
                return Err(failure);
            }
        };
        self.keep().await?;
        Ok(Restored { entries: loaded.tables, size_bytes: loaded.size_bytes, warnings: self.warnings })
    }

    fn changes_what_existed(&self) -> bool {
        !self.dry_run && self.framed.peek().existed
    }

    async fn abort(mut self: Box<Self>) -> bool {
        self.framed.undo(CLEANING).await || self.framed.cut(CLEANING).await
    }
}

impl Hearer for State {
    fn output(&mut self, line: &[u8]) {
        match line {
            b"holdfast:ready 0" => self.ready = true,
            b"holdfast:ready 1" => (self.ready, self.existed) = (true, true),
            b"holdfast:done" => self.done = true,
            _ => {
                let numbers = std::str::from_utf8(line).ok().and_then(|line| line.strip_prefix("holdfast:loaded "));
                let numbers: Option<Vec<u64>> = numbers.and_then(|n| n.split(' ').map(|n| n.parse().ok()).collect());
                if let Some(&[status, tables, size_bytes]) = numbers.as_deref() {
                    let status = u32::try_from(status).unwrap_or(1);
                    self.loaded = Some(Loaded { status, tables, size_bytes });
                }
            }
        }
    }

    fn line(&mut self, line: Line, words: &mut Words) {
        let (key, value) = match line {
            Line::Ours { key, value } => (key, String::from_utf8_lossy(&value).into_owned()),
            Line::Text(text) => {
                words.quote(&text);
                // The first is the reason; what follows comes of it.
                if self.said.len() < 20 {
                    self.said.push(String::from_utf8_lossy(&text).into_owned());
                }
                return;
            }
        };
        match key.as_str() {
            "server" => self.server = value,
            "left" => self.left = Some(printable(&value, 200)),
            _ => {
                if let Some(why) = key.strip_prefix("refused ") {
                    self.refused = Some(refusal::of_target(why, &value));
                }
            }
        }
    }

    fn why_ended(&self, status: u32, words: &Words) -> Failure {
        let step = if self.ready { Step::Stage } else { Step::Prepare };
        if let Some(refused) = &self.refused {
            return refused.clone();
        }
        if let Some(failure) = errors::first(&self.said, step) {
            return failure;
        }
        if self.said.is_empty() && !self.ready {
            return refusal::not_begun(status, words);
        }
        // Around it the client repeats the statement, which may hold a customer's rows.
        let detail = match self.said.iter().find(|line| line.starts_with("ERROR ")) {
            Some(error) => format!("{}.", printable(error, 300)),
            None => words.explain(&format!("the client ended with status {status}")),
        };
        Failure::new(step, FailureCode::RestoreIncomplete, detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_domain::source::Engine;

    fn facts(character_set: &str) -> DatabaseFacts {
        DatabaseFacts {
            engine: Engine::Mariadb,
            server_version: String::new(),
            tables: 0,
            settings: [("character_set".to_owned(), character_set.to_owned())].into(),
            roles: Vec::new(),
            omitted: Vec::new(),
        }
    }

    #[test]
    fn a_newer_or_another_makers_dump_is_warned_of() {
        let warned = |dumped, here| warn_of_version(dumped, here).is_some();
        assert!(warned("11.4.2-MariaDB", "10.11.19-MariaDB-0+deb12u1") && warned("8.0.36", "10.11.19-MariaDB"));
        assert!(!warned("10.6.1-MariaDB", "10.11.19-MariaDB") && !warned("8.0.36", "8.4.0") && !warned("", "8.4.0"));
    }

    #[test]
    fn no_name_stands_in_a_statement_and_a_character_set_is_one_word() {
        let target = DatabaseTarget {
            database: "x`; DROP DATABASE y; --".to_owned(),
            existing: false,
            facts: facts("utf8mb4"),
            dry_run: false,
        };
        let login = DatabaseLogin { host: None, port: None, username: None, password: None };
        let fields = fields(&target, &login).unwrap();
        let statements = fields.bytes()[6..].concat();
        assert!(!String::from_utf8(statements).unwrap().contains("DROP DATABASE y"));
        assert!(like(&facts("utf8mb4")).unwrap().contains("' CHARACTER SET utf8mb4'"));
        for odd in ["a b", "a'", "a`", "é", &"a".repeat(65)] {
            assert_eq!(like(&facts(odd)).unwrap_err().code, FailureCode::ManifestInvalid, "{odd}");
        }
    }
}

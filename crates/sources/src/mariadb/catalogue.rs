//! What the catalogue says, read from lines whose names are hexadecimal digits: a name can hold anything.

use super::grants::Grants;
use holdfast_domain::source::Engine;
use holdfast_domain::{Failure, FailureCode, Step};
use std::collections::BTreeMap;

/// A server as one login sees it.
#[derive(Default)]
pub(super) struct Catalogue {
    /// `10.11.19-MariaDB`.
    pub(super) version: String,
    /// Who the server takes us for.
    pub(super) user: String,
    /// What that user may do.
    pub(super) grants: Grants,
    /// Database, table and size, where they were asked for.
    pub(super) tables: Vec<(String, String, u64)>,
    databases: Vec<Database>,
}

/// One database.
#[derive(Default)]
pub(super) struct Database {
    /// Its name.
    pub(super) name: String,
    /// Base tables.
    pub(super) tables: Vec<String>,
    /// Sequences.
    pub(super) sequences: Vec<String>,
    /// Views.
    pub(super) views: Vec<String>,
    /// Foreign keys within the database.
    pub(super) keys: Vec<ForeignKey>,
    /// A view, and a table or view that it names.
    pub(super) uses: Vec<(String, String)>,
    hidden: Option<String>,
    character_set: String,
    collation: String,
}

/// One foreign key.
pub(super) struct ForeignKey {
    /// Its name.
    pub(super) name: String,
    /// The table that has it.
    pub(super) table: String,
    /// The table it refers to.
    pub(super) to: String,
}

impl Catalogue {
    /// Reads an answer; what stands after the n-th `database` line is of the n-th of `asked`.
    pub(super) fn parse(lines: &[Vec<u8>], asked: &[String]) -> Result<Self, Failure> {
        let mut found = Self::default();
        let mut asked = asked.iter();
        let mut current = None;
        for line in lines {
            let line = String::from_utf8_lossy(line);
            let unreadable = || {
                let detail = format!("the database server answered {line:?}, which is not understood.");
                Failure::new(Step::Prepare, FailureCode::SourceFailed, detail)
            };
            if line == "database" {
                let name = asked.next().ok_or_else(unreadable)?;
                current = found.databases.iter().position(|database| database.name == *name);
                continue;
            }
            found.take(&line, current).ok_or_else(unreadable)?;
        }
        Ok(found)
    }

    /// MariaDB or MySQL.
    pub(super) fn engine(&self) -> Engine {
        if self.version.contains("MariaDB") { Engine::Mariadb } else { Engine::Mysql }
    }

    /// Every database that can be seen.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.databases.iter().map(|database| database.name.as_str())
    }

    /// One of them.
    pub(super) fn database(&self, name: &str) -> Option<&Database> {
        self.databases.iter().find(|database| database.name == name)
    }

    fn take(&mut self, line: &str, current: Option<usize>) -> Option<()> {
        if line.starts_with("GRANT ") || line.starts_with("REVOKE ") || line.starts_with("SET DEFAULT ROLE ") {
            self.grants.take(line);
            return Some(());
        }
        let words: Vec<&str> = line.split(' ').collect();
        let database = current.and_then(|at| self.databases.get_mut(at));
        match (*words.first()?, &words[1..], database) {
            ("version", [version], _) => self.version = text(version)?,
            ("user", [user], _) => self.user = text(user)?,
            ("schema", [name, character_set, collation], _) => self.databases.push(Database {
                name: text(name)?,
                character_set: (*character_set).to_owned(),
                collation: (*collation).to_owned(),
                ..Database::default()
            }),
            ("table", [database, table, size], _) => {
                self.tables.push((text(database)?, text(table)?, size.parse().ok()?));
            }
            ("relation", [name, kind], Some(database)) => match *kind {
                "BASE_TABLE" | "SYSTEM_VERSIONED" => database.tables.push(text(name)?),
                "SEQUENCE" => database.sequences.push(text(name)?),
                _ => database.views.push(text(name)?),
            },
            ("key", [name, table, to], Some(database)) => {
                database.keys.push(ForeignKey { name: text(name)?, table: text(table)?, to: text(to)? });
            }
            ("uses", [view, used], Some(database)) => database.uses.push((text(view)?, text(used)?)),
            ("routine", [name, hidden], Some(database)) => {
                if *hidden == "1" {
                    database.hidden = Some(text(name)?);
                }
            }
            // What was asked of a database that this login cannot see any more.
            ("relation" | "key" | "uses" | "routine", _, None) => {}
            _ => return None,
        }
        Some(())
    }
}

impl Database {
    /// What a new database needs to be like this one.
    pub(super) fn settings(&self) -> BTreeMap<String, String> {
        let setting = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        BTreeMap::from([setting("character_set", &self.character_set), setting("collation", &self.collation)])
    }

    /// Whether it has any view.
    pub(super) fn has_views(&self) -> bool {
        !self.views.is_empty()
    }

    /// A routine whose definition cannot be read.
    pub(super) fn hidden_routine(&self) -> Option<&str> {
        self.hidden.as_deref()
    }

    /// Tables that can be seen and not read; the first few.
    pub(super) fn without_select(&self, grants: &Grants) -> Vec<String> {
        let unreadable = self.tables.iter().filter(|table| !grants.may_select(&self.name, table));
        unreadable.take(3).map(|table| format!("{table:?}")).collect()
    }
}

fn text(hexadecimal: &str) -> Option<String> {
    String::from_utf8(hex::decode(hexadecimal).ok()?).ok()
}

//! What is left out of a database, and what must be left out because of it. A name is compared as a whole, never as a
//! pattern.

use super::catalogue::Database;
use holdfast_domain::failure::printable;
use holdfast_domain::manifest::{Omitted, OmittedKind};
use holdfast_domain::source::DatabaseSpec;
use holdfast_domain::warning::{Warning, WarningCode, Warnings};
use holdfast_domain::{Failure, FailureCode, Step};
use std::collections::{BTreeMap, BTreeSet};

/// A task's excluded names, and which of them named something.
pub(super) struct Exclusions<'a> {
    tables: BTreeMap<&'a str, bool>,
    rows: BTreeMap<&'a str, bool>,
}

/// What is dumped of a database.
#[derive(Debug)]
pub(super) struct Chosen {
    /// Base tables.
    pub(super) tables: u64,
    /// What is not, and why not.
    pub(super) omitted: Vec<Omitted>,
}

impl<'a> Exclusions<'a> {
    /// Of a task.
    pub(super) fn new(spec: &'a DatabaseSpec) -> Self {
        let names = |names: &'a [String]| names.iter().map(|name| (name.as_str(), false)).collect();
        Self { tables: names(&spec.excluded_tables), rows: names(&spec.excluded_table_data) }
    }

    /// Applies them to one database, with a warning for each thing that depends on what is excluded.
    ///
    /// # Errors
    /// `invalid_config` when no table is left.
    pub(super) fn apply(&mut self, database: &Database, warnings: &mut Warnings) -> Result<Chosen, Failure> {
        let mut gone: BTreeSet<&str> = BTreeSet::new();
        let mut omitted = Vec::new();
        let kinds = [
            (&database.tables, OmittedKind::Table),
            (&database.sequences, OmittedKind::Other),
            (&database.views, OmittedKind::View),
        ];
        for (names, kind) in kinds {
            for name in names.iter().filter(|name| hit(&mut self.tables, &database.name, name)) {
                gone.insert(name);
                omitted.push(omit(kind, name, None));
            }
        }
        let mut empty: BTreeSet<&str> = BTreeSet::new();
        for name in database.tables.iter().filter(|name| hit(&mut self.rows, &database.name, name)) {
            if !gone.contains(name.as_str()) {
                empty.insert(name);
                omitted.push(omit(OmittedKind::Rows, name, None));
            }
        }
        let left = database.tables.iter().filter(|name| !gone.contains(name.as_str())).count() as u64;
        if left == 0 && !database.tables.is_empty() {
            let detail = format!("every table of {:?} is excluded.", database.name);
            return Err(Failure::new(Step::Prepare, FailureCode::InvalidConfig, detail));
        }
        let dependents = dependent_views(database, &gone).into_iter().chain(dependent_keys(database, &gone, &empty));
        for dependent in dependents {
            warnings.push(depends(&database.name, &dependent));
            omitted.push(dependent);
        }
        Ok(Chosen { tables: left, omitted })
    }

    /// A warning for each name that named nothing in any database.
    pub(super) fn unmatched(&self) -> Vec<Warning> {
        let named_nothing = |(name, hit): (&&str, &bool)| {
            (!hit).then(|| Warning {
                code: WarningCode::MatchesNothing,
                path: Some(printable(name, 300)),
                message: "is excluded, and there is no table of that name".to_owned(),
            })
        };
        self.tables.iter().chain(&self.rows).filter_map(named_nothing).collect()
    }
}

/// `database.table`, or `table` alone.
fn hit(names: &mut BTreeMap<&str, bool>, database: &str, table: &str) -> bool {
    let full = format!("{database}.{table}");
    let mut is_hit = false;
    for name in [full.as_str(), table] {
        if let Some(seen) = names.get_mut(name) {
            *seen = true;
            is_hit = true;
        }
    }
    is_hit
}

/// Views that name something that is gone, or a view that does.
fn dependent_views(database: &Database, gone: &BTreeSet<&str>) -> Vec<Omitted> {
    let mut lost: BTreeSet<&str> = gone.clone();
    loop {
        let more: Vec<&str> = database
            .uses
            .iter()
            .filter(|(view, used)| lost.contains(used.as_str()) && !lost.contains(view.as_str()))
            .map(|(view, _)| view.as_str())
            .collect();
        if more.is_empty() {
            return lost.difference(gone).map(|view| omit(OmittedKind::View, view, None)).collect();
        }
        lost.extend(more);
    }
}

/// Foreign keys of what stays whose other end is gone or has no rows.
fn dependent_keys(database: &Database, gone: &BTreeSet<&str>, empty: &BTreeSet<&str>) -> Vec<Omitted> {
    let keys = database.keys.iter().filter(|key| {
        let has_rows = !empty.contains(key.table.as_str());
        let to = key.to.as_str();
        !gone.contains(key.table.as_str()) && (gone.contains(to) || (has_rows && empty.contains(to)))
    });
    keys.map(|key| omit(OmittedKind::ForeignKey, &key.name, Some(&key.table))).collect()
}

fn omit(kind: OmittedKind, name: &str, table: Option<&str>) -> Omitted {
    Omitted { kind, schema: None, name: name.to_owned(), table: table.map(str::to_owned), catalogue_id: None }
}

fn depends(database: &str, omitted: &Omitted) -> Warning {
    let name = |name: &str| printable(&format!("{database}.{name}"), 300);
    let (path, message) = match &omitted.table {
        Some(table) => (
            name(table),
            format!(
                "its foreign key {} needs what is excluded; a restore leaves it out",
                printable(&omitted.name, 100)
            ),
        ),
        None => (name(&omitted.name), "is a view that needs an excluded table; it is left out".to_owned()),
    };
    Warning { code: WarningCode::DependsOnExcluded, path: Some(path), message }
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::ForeignKey;
    use super::*;
    use holdfast_domain::source::EngineChoice;

    fn spec(tables: &[&str], rows: &[&str]) -> DatabaseSpec {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        DatabaseSpec {
            engine: EngineChoice::Auto,
            databases: Vec::new(),
            excluded_tables: owned(tables),
            excluded_table_data: owned(rows),
            host: None,
            port: None,
            username: None,
            globals: None,
            path: None,
        }
    }

    fn database() -> Database {
        let key =
            |name: &str, table: &str, to: &str| ForeignKey { name: name.into(), table: table.into(), to: to.into() };
        let mut database = Database::default();
        database.name = "d".into();
        database.tables = ["a", "b", "c.d"].map(str::to_owned).to_vec();
        database.views = ["v", "w", "x"].map(str::to_owned).to_vec();
        database.keys = vec![key("k1", "b", "a"), key("k2", "a", "a"), key("k3", "c.d", "b")];
        database.uses = [("v", "a"), ("w", "v"), ("x", "b")].map(|(v, t)| (v.to_owned(), t.to_owned())).to_vec();
        database
    }

    fn of(chosen: &Chosen, kind: OmittedKind) -> Vec<&str> {
        chosen.omitted.iter().filter(|o| o.kind == kind).map(|o| o.name.as_str()).collect()
    }

    #[test]
    fn what_depends_on_an_excluded_table_goes_with_it_and_is_said() {
        let spec = spec(&["a", "no.such"], &["d.b"]);
        let mut exclusions = Exclusions::new(&spec);
        let mut warnings = Warnings::default();
        let chosen = exclusions.apply(&database(), &mut warnings).unwrap();
        assert_eq!(chosen.tables, 2);
        assert_eq!(of(&chosen, OmittedKind::Table), ["a"]);
        assert_eq!(of(&chosen, OmittedKind::Rows), ["b"]);
        assert_eq!(of(&chosen, OmittedKind::View), ["v", "w"]);
        assert_eq!(of(&chosen, OmittedKind::ForeignKey), ["k1", "k3"]);
        assert_eq!(warnings.count, 4);
        let unmatched = exclusions.unmatched();
        assert_eq!(unmatched.len(), 1);
        assert_eq!(unmatched[0].path.as_deref(), Some("no.such"));
    }

    #[test]
    fn a_name_is_no_pattern_and_excluding_everything_is_refused() {
        for name in ["*", "%", "d.*", "a,b", "d.", ".a", "A"] {
            let spec = spec(&[name], &[]);
            let chosen = Exclusions::new(&spec).apply(&database(), &mut Warnings::default()).unwrap();
            assert!(chosen.omitted.is_empty(), "{name}");
        }
        let all = spec(&["a", "d.b", "c.d"], &[]);
        let failure = Exclusions::new(&all).apply(&database(), &mut Warnings::default()).unwrap_err();
        assert_eq!(failure.code, FailureCode::InvalidConfig);
    }
}

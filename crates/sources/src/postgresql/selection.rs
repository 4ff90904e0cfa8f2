//! What is left out of one database, decided from its catalogue. Names are compared as whole strings: nothing that a user
//! wrote is ever a pattern.

use super::rows::{Needy, Relation};
use holdfast_domain::failure::printable;
use holdfast_domain::manifest::{Omitted, OmittedKind};
use holdfast_domain::source::DatabaseSpec;
use holdfast_domain::warning::{Warning, WarningCode, Warnings};
use holdfast_domain::{Failure, FailureCode, Step};
use std::collections::{BTreeSet, HashMap, HashSet};

/// The number of `pg_class` in itself, the same on every server.
pub(super) const CLASS: u32 = 1259;

/// What of one database is left out.
#[derive(Debug, Default)]
pub(super) struct Selection {
    /// What the task's own words name.
    named: BTreeSet<u32>,
    /// Definition and rows, by number.
    pub(super) gone: BTreeSet<u32>,
    /// Rows alone.
    pub(super) rowless: BTreeSet<u32>,
    /// Tables whose rows are not complete: those above, and the partitioned ones they belong to.
    pub(super) emptied: BTreeSet<u32>,
}

/// Which names of the task matched something, over all its databases.
#[derive(Default)]
pub(super) struct Matched(HashSet<String>);

impl Matched {
    /// A warning for every name that matched nothing.
    pub(super) fn warn(&self, spec: &DatabaseSpec, warnings: &mut Warnings) {
        for name in spec.excluded_tables.iter().chain(&spec.excluded_table_data) {
            if !self.0.contains(name) {
                warnings.push(warning(WarningCode::MatchesNothing, name, "is excluded, and no table has this name"));
            }
        }
    }
}

impl Selection {
    /// Whether nothing is left out.
    pub(super) fn is_empty(&self) -> bool {
        self.gone.is_empty() && self.rowless.is_empty()
    }

    /// Chooses among `relations` of `database`; `is_alone` when it is the only one that is dumped.
    pub(super) fn choose(
        spec: &DatabaseSpec,
        database: &str,
        is_alone: bool,
        relations: &[Relation],
        matched: &mut Matched,
    ) -> Self {
        let mut named = |excluded: &[String]| {
            let found = relations.iter().filter(|relation| relation.kind != 'S').filter(|relation| {
                let names = names(relation, database, is_alone);
                let hits: Vec<_> = excluded.iter().filter(|name| names.contains(name)).collect();
                matched.0.extend(hits.iter().map(|name| (*name).clone()));
                !hits.is_empty()
            });
            found.map(|relation| relation.oid).collect::<BTreeSet<_>>()
        };
        let (gone, rowless) = (named(&spec.excluded_tables), named(&spec.excluded_table_data));
        let named = gone.clone();
        // Without its parent a child cannot be made.
        let gone = with_children(gone, relations, |_| true);
        // The rows of a partitioned table lie in its partitions.
        let rowless = with_children(rowless, relations, |relation| relation.is_partition);
        let emptied = with_parents(gone.union(&rowless).copied().collect(), relations);
        Self { named, gone, rowless, emptied }
    }

    /// Leaves out what cannot be made without what is left out already; all of it, for the manifest.
    pub(super) fn omit(&mut self, relations: &[Relation], needy: &[Needy]) -> Vec<Omitted> {
        let mut omitted: Vec<Omitted> = Vec::new();
        for relation in relations.iter().filter(|r| r.kind != 'S') {
            let kind = match (self.gone.contains(&relation.oid), self.rowless.contains(&relation.oid)) {
                (true, _) => OmittedKind::Table,
                (false, true) => OmittedKind::Rows,
                _ => continue,
            };
            omitted.push(Omitted {
                kind,
                schema: Some(relation.schema.clone()),
                name: relation.name.clone(),
                table: None,
                catalogue_id: Some((CLASS, relation.oid)),
            });
        }
        for needy in needy {
            let kind = match needy.kind.as_str() {
                "v" | "m" => OmittedKind::View,
                "r" | "p" | "f" => OmittedKind::Table,
                "foreign_key" => OmittedKind::ForeignKey,
                _ => OmittedKind::Other,
            };
            if matches!(kind, OmittedKind::View | OmittedKind::Table) {
                self.gone.insert(needy.oid);
            }
            omitted.push(Omitted {
                kind,
                schema: needy.schema.clone(),
                name: needy.name.clone(),
                table: needy.table.clone(),
                catalogue_id: Some((needy.class, needy.oid)),
            });
        }
        omitted
    }

    /// What stays must be readable, and there must be something.
    ///
    /// # Errors
    /// `missing_right`, naming what; `invalid_config` when every table is excluded.
    pub(super) fn check(&self, database: &str, relations: &[Relation]) -> Result<(), Failure> {
        let refuse = |code, detail: String| Err(Failure::new(Step::Prepare, code, detail));
        let database = printable(database, 100);
        for relation in relations.iter().filter(|relation| !self.leaves_out(relation)) {
            let what = format!("{} of database {database}", shown(relation));
            if !relation.readable {
                return refuse(FailureCode::MissingRight, format!("this user may not read {what} (SELECT)."));
            }
            if relation.filtered && !self.rowless.contains(&relation.oid) {
                let detail = format!("row-level security hides rows of {what} from this user (BYPASSRLS).");
                return refuse(FailureCode::MissingRight, detail);
            }
        }
        if self.tables(relations) == 0 && relations.iter().any(Relation::is_table) {
            return refuse(FailureCode::InvalidConfig, format!("every table of database {database} is excluded."));
        }
        Ok(())
    }

    /// How many tables stay.
    pub(super) fn tables(&self, relations: &[Relation]) -> u64 {
        relations.iter().filter(|relation| relation.is_table() && !self.leaves_out(relation)).count() as u64
    }

    fn leaves_out(&self, relation: &Relation) -> bool {
        // A sequence goes with the table that owns it.
        let owned = || relation.kind == 'S' && relation.parents.iter().any(|table| self.gone.contains(table));
        self.gone.contains(&relation.oid) || owned()
    }

    /// A warning for everything that is left out although nobody said so.
    pub(super) fn warn(&self, database: &str, omitted: &[Omitted], warnings: &mut Warnings) {
        for one in omitted {
            let is_named = one.catalogue_id.is_some_and(|(_, oid)| self.named.contains(&oid));
            let what = match one.kind {
                OmittedKind::Table if is_named => continue,
                OmittedKind::Rows => continue,
                OmittedKind::Table => "is a part of an excluded table, or needs one; it is left out",
                OmittedKind::View => "is a view that needs an excluded table; it is left out",
                OmittedKind::ForeignKey => {
                    "is a foreign key to a table that is excluded or whose rows are; a restore leaves it out"
                }
                OmittedKind::Other => "needs an excluded table; a restore leaves it out",
            };
            let parts = [Some(database), one.schema.as_deref(), one.table.as_deref(), Some(one.name.as_str())];
            let name = parts.into_iter().flatten().collect::<Vec<_>>().join(".");
            warnings.push(warning(WarningCode::DependsOnExcluded, &name, what));
        }
    }
}

/// pg_dump's options for what is left out: a constant option each, its value a name in quotes, in which nothing is a pattern.
pub(super) fn options(omitted: &[Omitted]) -> Vec<String> {
    let options = omitted.iter().filter_map(|one| {
        let option = match one.kind {
            OmittedKind::Table | OmittedKind::View => "--exclude-table=",
            OmittedKind::Rows => "--exclude-table-data=",
            OmittedKind::ForeignKey | OmittedKind::Other => return None,
        };
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        Some(format!("{option}{}.{}", quoted(one.schema.as_deref()?), quoted(&one.name)))
    });
    options.collect()
}

/// The names a user may call it by: without its schema if that is `public`, without its database if there is one alone.
fn names(relation: &Relation, database: &str, is_alone: bool) -> Vec<String> {
    let Relation { schema, name, .. } = relation;
    let mut names = vec![format!("{database}.{schema}.{name}")];
    if schema == "public" {
        names.extend([name.clone(), format!("{database}.{name}")]);
    }
    if is_alone {
        names.push(format!("{schema}.{name}"));
    }
    names
}

fn with_children(mut of: BTreeSet<u32>, relations: &[Relation], goes: impl Fn(&Relation) -> bool) -> BTreeSet<u32> {
    let children = |oid: u32| {
        relations.iter().filter(move |r| r.kind != 'S' && r.parents.contains(&oid)).filter(|r| goes(r)).map(|r| r.oid)
    };
    let mut open: Vec<u32> = of.iter().copied().collect();
    while let Some(oid) = open.pop() {
        open.extend(children(oid).filter(|child| of.insert(*child)).collect::<Vec<_>>());
    }
    of
}

/// `of`, and the partitioned tables above.
fn with_parents(mut of: BTreeSet<u32>, relations: &[Relation]) -> BTreeSet<u32> {
    let parents: HashMap<u32, &[u32]> =
        relations.iter().filter(|r| r.is_partition).map(|r| (r.oid, r.parents.as_slice())).collect();
    let mut open: Vec<u32> = of.iter().copied().collect();
    while let Some(oid) = open.pop() {
        open.extend(parents.get(&oid).copied().unwrap_or_default().iter().filter(|parent| of.insert(**parent)));
    }
    of
}

fn shown(relation: &Relation) -> String {
    printable(&format!("{}.{}", relation.schema, relation.name), 200)
}

fn warning(code: WarningCode, name: &str, message: &str) -> Warning {
    Warning { code, path: Some(printable(name, 1024)), message: message.to_owned() }
}

#[cfg(test)]
mod tests;

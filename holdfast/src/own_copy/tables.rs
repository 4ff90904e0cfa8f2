//! Which tables there are, what is in them, and in which order they can be filled.

use anyhow::{Result, bail};
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet};

/// Left out: rows that mean nothing in another place or a minute later.
pub const TRANSIENT: &[&str] = &[
    "account_links",
    "account_mails",
    "draining_workers",
    "login_failures",
    "reconcilers",
    "run_turns",
    "seaql_migrations",
    "sessions",
    "setup_links",
    "tickets",
    "workers",
];

/// A table as the catalogue describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name; all are in the first schema of the search path.
    pub name: String,
    /// Its columns, in order, without generated ones.
    pub columns: Vec<String>,
    /// Its identity column.
    pub identity: Option<String>,
    /// Whether row-level security is forced on its owner.
    pub is_forced: bool,
}

impl Table {
    /// `"name" ("column", …)`, as it stands in a COPY statement of ours and nowhere else.
    pub fn with_columns(&self) -> String {
        let columns: Vec<String> = self.columns.iter().map(|column| format!("\"{column}\"")).collect();
        format!("\"{}\" ({})", self.name, columns.join(", "))
    }
}

/// All tables to copy, each after those it refers to.
///
/// # Errors
/// The catalogue cannot be read, or tables refer to each other in a circle.
pub async fn in_order(connection: &mut PgConnection) -> Result<Vec<Table>> {
    let rows: Vec<(String, Vec<String>, Option<String>, bool)> = sqlx::query_as(
        "SELECT c.relname::text,
                array_agg(a.attname::text ORDER BY a.attnum) FILTER (WHERE a.attgenerated = ''),
                max(a.attname::text) FILTER (WHERE a.attidentity <> ''),
                c.relforcerowsecurity
         FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace
         GROUP BY c.oid, c.relname, c.relforcerowsecurity ORDER BY c.relname",
    )
    .fetch_all(&mut *connection)
    .await?;
    let references: Vec<(String, String)> = sqlx::query_as(
        "SELECT c.relname::text, p.relname::text FROM pg_constraint k
         JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class p ON p.oid = k.confrelid
         WHERE k.contype = 'f' AND k.conrelid <> k.confrelid AND c.relnamespace = current_schema()::regnamespace",
    )
    .fetch_all(&mut *connection)
    .await?;
    let tables = rows
        .into_iter()
        .filter(|(name, ..)| !TRANSIENT.contains(&name.as_str()))
        .map(|(name, columns, identity, is_forced)| Table { name, columns, identity, is_forced })
        .collect();
    sorted(tables, &references)
}

fn sorted(tables: Vec<Table>, references: &[(String, String)]) -> Result<Vec<Table>> {
    let mut waiting: BTreeMap<String, Table> = tables.into_iter().map(|table| (table.name.clone(), table)).collect();
    let mut done = Vec::new();
    while !waiting.is_empty() {
        let blocked: BTreeSet<&String> =
            references.iter().filter(|(_, parent)| waiting.contains_key(parent)).map(|(child, _)| child).collect();
        let free: Vec<String> = waiting.keys().filter(|name| !blocked.contains(name)).cloned().collect();
        if free.is_empty() {
            bail!("these tables refer to each other in a circle: {:?}", waiting.keys());
        }
        done.extend(free.iter().filter_map(|name| waiting.remove(name)));
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str) -> Table {
        Table { name: name.to_owned(), columns: vec!["id".to_owned()], identity: None, is_forced: false }
    }

    #[test]
    fn parents_come_first_and_a_circle_is_told() {
        let pair = |child: &str, parent: &str| (child.to_owned(), parent.to_owned());
        let references = [pair("a", "b"), pair("b", "c"), pair("a", "c"), pair("a", "gone")];
        let names = |tables: Vec<Table>| tables.into_iter().map(|t| t.name).collect::<Vec<_>>();
        let order = sorted(vec![table("a"), table("b"), table("c")], &references).unwrap();
        assert_eq!(names(order), ["c", "b", "a"]);
        assert!(sorted(vec![table("a"), table("b")], &[pair("a", "b"), pair("b", "a")]).is_err());
    }
}

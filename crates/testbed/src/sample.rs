//! A customer's databases for the demo and the bench: what is in them, and how to tell that two are equal. Names hold
//! what dumps and shells trip over, but no line ends: the sums are read line by line.

use crate::customer_postgres::CustomerPostgres;
use crate::mariadb::MariaDb;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::fmt;

const MARIADB: &str = include_str!("sample/mariadb.sql");
const POSTGRESQL: &str = include_str!("sample/postgresql.sql");

/// One `SELECT` that sums every table, made by the server itself: it quotes the names.
const MARIADB_SUMS: &str = "SET SESSION group_concat_max_len = 1000000;
SELECT GROUP_CONCAT(CONCAT('SELECT ', QUOTE(table_name), ', COUNT(*) FROM `', REPLACE(table_name, '`', '``'), '`') SEPARATOR ' UNION ALL ')
FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type <> 'SEQUENCE'";
const MARIADB_CHECKSUMS: &str = "SET SESSION group_concat_max_len = 1000000;
SELECT CONCAT('CHECKSUM TABLE ', GROUP_CONCAT(CONCAT('`', REPLACE(table_name, '`', '``'), '`')), ' EXTENDED')
FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'";
const POSTGRESQL_SUMS: &str = "SELECT string_agg(format('SELECT %L, count(*), coalesce(sum((''x'' || left(md5(t::text), 15))::bit(60)::bigint), 0)
FROM %s t', oid::regclass::text, oid::regclass), ' UNION ALL ')
FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm') AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
AND NOT starts_with(relnamespace::regnamespace::text, 'pg_toast')";

/// Of every table and view of one database: rows, and a sum over their content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSums(BTreeMap<String, String>);

impl TableSums {
    /// How many tables and views.
    #[must_use]
    pub fn tables(&self) -> usize {
        self.0.len()
    }

    /// What differs; none when both are equal.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<String> {
        let names = self.0.keys().chain(other.0.keys());
        let differs = names.filter(|name| self.0.get(*name) != other.0.get(*name)).min()?;
        let of = |sums: &Self| sums.0.get(differs).cloned().unwrap_or_else(|| "missing".to_owned());
        Some(format!("{differs}: {} there, {} here", of(self), of(other)))
    }
}

impl fmt::Display for TableSums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(table, sum)| writeln!(f, "{table}: {sum}"))
    }
}

/// Fills the new database `name` of a MariaDB server; about half a kibibyte a row.
///
/// # Errors
/// The server refused.
pub async fn fill_mariadb(server: &MariaDb, name: &str, rows: u32) -> Result<()> {
    server.create_database(name).await?;
    server.query(name, &MARIADB.replace("{rows}", &rows.to_string())).await.map(drop)
}

/// Fills the new database `name` of a PostgreSQL server; about half a kibibyte a row.
///
/// # Errors
/// The server refused.
pub async fn fill_postgresql(server: &CustomerPostgres, name: &str, rows: u32) -> Result<()> {
    server.create_database(name).await?;
    server.query(name, &POSTGRESQL.replace("{rows}", &rows.to_string())).await.map(drop)
}

/// Sums of a MariaDB database: `COUNT(*)`, and the server's own checksum of tables.
///
/// # Errors
/// The server refused, or the database is empty.
pub async fn sums_of_mariadb(server: &MariaDb, name: &str) -> Result<TableSums> {
    let counts = server.query(name, MARIADB_SUMS).await?;
    let mut sums = by_table(&server.query(name, &unescaped(&counts)).await?, '\t')?;
    let checks = server.query(name, MARIADB_CHECKSUMS).await?;
    for (table, checksum) in by_table(&server.query(name, &unescaped(&checks)).await?, '\t')? {
        let table = table.strip_prefix(&format!("{name}.")).unwrap_or(&table).to_owned();
        ensure!(checksum != "NULL", "{table} has no checksum");
        sums.entry(table).or_default().push_str(&format!(" rows, checksum {checksum}"));
    }
    Ok(TableSums(sums))
}

/// Sums of a PostgreSQL database: rows, and a sum over their texts that does not depend on their order.
///
/// # Errors
/// The server refused, or the database is empty.
pub async fn sums_of_postgresql(server: &CustomerPostgres, name: &str) -> Result<TableSums> {
    let select = server.query(name, POSTGRESQL_SUMS).await?;
    Ok(TableSums(by_table(&server.query(name, &select).await?, '|')?))
}

/// Lines of a name and what follows it.
fn by_table(rows: &str, separator: char) -> Result<BTreeMap<String, String>> {
    let lines = rows.lines().map(|line| {
        let (name, rest) = line.split_once(separator).with_context(|| format!("no sum in {line:?}"))?;
        Ok((name.to_owned(), rest.replace(separator, " rows, sum ")))
    });
    let sums: BTreeMap<String, String> = lines.collect::<Result<_>>()?;
    ensure!(!sums.is_empty(), "there is no table");
    Ok(sums)
}

/// The client writes a backslash as two.
fn unescaped(text: &str) -> String {
    text.replace("\\\\", "\\")
}

//! What the catalogue queries answer: a row a line, as JSON. A server's text, so nothing here is trusted to be short or true.

use crate::asking::Answer;
use holdfast_domain::{Failure, FailureCode, Step};
use serde::Deserialize;
use std::collections::BTreeMap;

/// A row of any of our queries.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Row {
    Server(Server),
    Database(DatabaseRow),
    Role(Role),
    Relation(Relation),
    LargeObject(LargeObject),
    Owner(Owner),
    Needy(Needy),
}

/// The server and who we are there.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Server {
    /// `15.18 (Debian 15.18-0+deb12u1)`.
    pub(super) version: String,
    /// `150018`.
    pub(super) number: u32,
    /// Who we are.
    pub(super) user: String,
    /// Whether we may make databases.
    pub(super) may_create: bool,
}

/// A database.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct DatabaseRow {
    pub(super) name: String,
    /// Whether we may connect.
    pub(super) connect: bool,
    pub(super) size: u64,
    /// Encoding and locale.
    pub(super) settings: BTreeMap<String, String>,
}

/// A role that was asked for and is there.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Role {
    pub(super) name: String,
    /// Whether we may act for it.
    pub(super) mine: bool,
}

/// Anything of `pg_class` that holds or shows rows.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Relation {
    pub(super) oid: u32,
    pub(super) schema: String,
    pub(super) name: String,
    /// `r` table, `p` partitioned table, `v` view, `m` materialized view, `f` foreign table, `S` sequence.
    pub(super) kind: char,
    pub(super) size: u64,
    /// Whether we may read it.
    pub(super) readable: bool,
    /// Whether row-level security hides rows from us.
    pub(super) filtered: bool,
    pub(super) is_partition: bool,
    /// Tables it inherits from; of a sequence, the table that owns it.
    pub(super) parents: Vec<u32>,
}

/// A large object that we may not read.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct LargeObject {
    pub(super) oid: u32,
}

/// A role that the database refers to.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Owner {
    pub(super) name: String,
}

/// Something that needs what is excluded.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Needy {
    pub(super) class: u32,
    pub(super) oid: u32,
    /// As [`Relation::kind`], `foreign_key` or `other`.
    pub(super) kind: String,
    pub(super) schema: Option<String>,
    pub(super) name: String,
    pub(super) table: Option<String>,
}

impl Relation {
    /// Whether it counts as a table.
    pub(super) fn is_table(&self) -> bool {
        matches!(self.kind, 'r' | 'p')
    }
}

/// The rows of an answer.
pub(super) fn rows(answer: &Answer) -> Result<Vec<Row>, Failure> {
    let parsed = answer.lines.iter().map(|line| serde_json::from_slice(line));
    parsed.collect::<Result<_, _>>().map_err(|_| {
        let detail = "the database server's catalogue answered in a way that is not understood.";
        Failure::new(Step::Prepare, FailureCode::SourceFailed, detail)
    })
}

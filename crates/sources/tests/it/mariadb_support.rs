//! A customer's MariaDB behind a real `sshd`, and what every test of it does: plan, dump, put back, compare.

use crate::support::Bench;
use bytes::Bytes;
use holdfast_domain::Failure;
use holdfast_domain::source::{DatabaseSpec, EngineChoice};
use holdfast_sources::SourceReport;
use holdfast_sources::database::{self, DatabaseLogin, DatabasePlan, DatabaseTarget, PlannedStream};
use holdfast_sources::stream::{Restored, StreamReader, StreamWriter};
use holdfast_testbed::mariadb::{ADMIN, MariaDb, PASSWORD};
use secrecy::SecretString;

/// What a program for MariaDB finds in its PATH.
pub const TOOLS: [(&str, Option<&str>); 9] = [
    ("base64", None),
    ("tr", None),
    ("sed", None),
    ("tail", None),
    ("dd", None),
    ("sleep", None),
    ("my_print_defaults", None),
    ("mariadb", None),
    ("mariadb-dump", None),
];

pub struct Lab {
    pub bench: Bench,
    pub server: MariaDb,
}

impl Lab {
    pub async fn new() -> Self {
        Self::with(Bench::new()).await
    }

    pub async fn with(bench: Bench) -> Self {
        Self { bench, server: MariaDb::start().await.unwrap() }
    }

    /// The same server behind an `sshd` whose programs find these tools in place of the usual ones.
    pub fn with_tools(self, instead: &[(&str, Option<&str>)]) -> Self {
        let mut tools: Vec<_> = TOOLS.into_iter().filter(|(tool, _)| !instead.iter().any(|i| i.0 == *tool)).collect();
        tools.extend(instead.iter().filter(|(_, script)| *script != Some("")));
        Self { bench: Bench::with_tools(&tools), server: self.server }
    }

    pub fn admin(&self) -> DatabaseLogin {
        self.login(ADMIN, PASSWORD)
    }

    pub fn login(&self, username: &str, password: &str) -> DatabaseLogin {
        DatabaseLogin {
            host: Some("127.0.0.1".to_owned()),
            port: Some(self.server.port()),
            username: Some(username.to_owned()),
            password: Some(SecretString::from(password)),
        }
    }

    pub async fn sql(&self, database: &str, sql: &str) -> String {
        self.server.query(database, sql).await.unwrap()
    }

    pub async fn plan(&self, spec: &DatabaseSpec) -> Result<DatabasePlan, Failure> {
        self.plan_as(spec, &self.admin()).await
    }

    pub async fn plan_as(&self, spec: &DatabaseSpec, login: &DatabaseLogin) -> Result<DatabasePlan, Failure> {
        database::plan(&mut self.bench.session().await, spec, login).await
    }

    pub async fn open(&self, plan: &DatabasePlan, at: usize) -> Result<Box<dyn StreamReader>, Failure> {
        database::open(self.bench.session().await, plan, &plan.streams[at], &self.admin()).await
    }

    pub async fn dump(&self, plan: &DatabasePlan, at: usize) -> Result<(Vec<u8>, SourceReport), Failure> {
        read_all(self.open(plan, at).await?).await
    }

    /// Plans and dumps one whole database.
    pub async fn dump_all_of(&self, name: &str) -> (Vec<u8>, DatabasePlan) {
        let plan = self.plan(&spec(&[name])).await.unwrap();
        (self.dump(&plan, 0).await.unwrap().0, plan)
    }

    pub async fn writer(&self, target: &DatabaseTarget) -> Result<Box<dyn StreamWriter>, Failure> {
        database::restore(self.bench.session().await, target, &self.admin()).await
    }

    pub async fn restore(&self, target: &DatabaseTarget, dump: &[u8]) -> Result<Restored, Failure> {
        let mut writer = self.writer(target).await?;
        for piece in dump.chunks(100_000) {
            if let Err(failure) = writer.write(Bytes::copy_from_slice(piece)).await {
                writer.abort().await;
                return Err(failure);
            }
        }
        writer.finish().await
    }

    pub async fn databases(&self) -> Vec<String> {
        self.sql("mysql", "SHOW DATABASES").await.lines().map(str::to_owned).collect()
    }
}

pub fn spec(databases: &[&str]) -> DatabaseSpec {
    DatabaseSpec {
        engine: EngineChoice::Mariadb,
        databases: databases.iter().map(|name| (*name).to_owned()).collect(),
        excluded_tables: Vec::new(),
        excluded_table_data: Vec::new(),
        host: None,
        port: None,
        username: None,
        globals: None,
        path: None,
    }
}

pub fn target(name: &str, stream: &PlannedStream) -> DatabaseTarget {
    DatabaseTarget { database: name.to_owned(), existing: false, facts: stream.facts.clone().unwrap(), dry_run: false }
}

pub async fn read_all(mut reader: Box<dyn StreamReader>) -> Result<(Vec<u8>, SourceReport), Failure> {
    let mut all = Vec::new();
    while let Some(bytes) = reader.next().await? {
        all.extend_from_slice(&bytes);
    }
    Ok((all, reader.report().unwrap().clone()))
}

/// A dump without the lines that name its database and its time: what two equal databases have in common.
pub fn body(dump: &[u8]) -> String {
    let text = String::from_utf8_lossy(dump);
    let varies =
        |line: &&str| ["-- Host:", "-- Dump completed", "-- Dumping "].iter().any(|head| line.starts_with(head));
    text.lines()
        .skip_while(|line| !line.starts_with("-- Server version"))
        .filter(|line| !varies(line))
        .map(|line| format!("{line}\n"))
        .collect()
}

//! PostgreSQL against a real server behind a real `sshd`.

mod excluding;
mod faults;
mod refusals;
mod restoring;
mod whole;

use crate::support::{Bench, read_boxed};
use bytes::Bytes;
use holdfast_domain::Failure;
use holdfast_domain::manifest::DatabaseFacts;
use holdfast_domain::source::{DatabaseSpec, EngineChoice};
use holdfast_domain::warning::{WarningCode, Warnings};
use holdfast_sources::SourceReport;
use holdfast_sources::database::{DatabaseLogin, DatabasePlan, DatabaseTarget};
use holdfast_sources::postgresql;
use holdfast_sources::stream::{Restored, StreamReader};
use holdfast_testbed::customer_postgres::{CustomerPostgres, PASSWORD, SUPERUSER};
use secrecy::SecretString;
use std::process::Command;

/// A customer: a log-in over SSH and a database server beside it.
pub struct Customer {
    pub bench: Bench,
    pub server: CustomerPostgres,
}

/// A dump of one database.
pub struct Dumped {
    pub plan: DatabasePlan,
    pub bytes: Vec<u8>,
    pub report: SourceReport,
}

impl Dumped {
    pub fn facts(&self) -> DatabaseFacts {
        self.plan.streams[0].facts.clone().unwrap()
    }
}

impl Customer {
    pub async fn new() -> Self {
        Self::with(Bench::new()).await
    }

    pub async fn with(bench: Bench) -> Self {
        Self { bench, server: CustomerPostgres::start().await.unwrap() }
    }

    /// A database with `sql` in it.
    pub async fn database(&self, name: &str, sql: &str) {
        self.server.create_database(name).await.unwrap();
        self.server.query(name, sql).await.unwrap();
    }

    pub async fn ask(&self, database: &str, sql: &str) -> String {
        self.server.query(database, sql).await.unwrap()
    }

    /// As the superuser over TCP.
    pub fn login(&self) -> DatabaseLogin {
        self.login_as(SUPERUSER, PASSWORD)
    }

    pub fn login_as(&self, user: &str, password: &str) -> DatabaseLogin {
        DatabaseLogin {
            host: Some("127.0.0.1".to_owned()),
            port: Some(self.server.port()),
            username: Some(user.to_owned()),
            password: Some(SecretString::from(password.to_owned())),
        }
    }

    pub async fn plan(&self, spec: &DatabaseSpec) -> Result<DatabasePlan, Failure> {
        postgresql::plan(&mut self.bench.session().await, spec, &self.login()).await
    }

    pub async fn open(&self, plan: &DatabasePlan, at: usize) -> Result<Box<dyn StreamReader>, Failure> {
        postgresql::open(self.bench.session().await, plan, &plan.streams[at], &self.login()).await
    }

    pub async fn dump(&self, spec: &DatabaseSpec) -> Result<Dumped, Failure> {
        let plan = self.plan(spec).await?;
        let (bytes, report) = read_boxed(self.open(&plan, 0).await?).await?;
        Ok(Dumped { plan, bytes, report })
    }

    pub async fn restore(&self, target: &DatabaseTarget, archive: &[u8]) -> Result<Restored, Failure> {
        self.restore_as(target, &self.login(), archive).await
    }

    pub async fn restore_as(
        &self,
        target: &DatabaseTarget,
        login: &DatabaseLogin,
        archive: &[u8],
    ) -> Result<Restored, Failure> {
        let mut writer = postgresql::restore(self.bench.session().await, target, login).await?;
        for piece in archive.chunks(100_000) {
            if let Err(failure) = writer.write(Bytes::copy_from_slice(piece)).await {
                writer.abort().await;
                return Err(failure);
            }
        }
        writer.finish().await
    }

    pub async fn databases(&self) -> Vec<String> {
        let sql = "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres' ORDER BY 1";
        self.ask(SUPERUSER, sql).await.lines().map(str::to_owned).collect()
    }

    /// Everything in a database, as pg_dump writes it out in full.
    pub fn everything(&self, database: &str) -> String {
        let output = Command::new("pg_dump")
            .args(["-h".as_ref(), self.server.socket_dir().as_os_str(), "-U".as_ref(), SUPERUSER.as_ref()])
            .env("PGPORT", self.server.port().to_string())
            .env("PGDATABASE", database)
            .env("PGCLIENTENCODING", "UTF8")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        // A random word that keeps psql from running what a dump hides; another one each time.
        let lines = text.lines().filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Waits until a query answers `wanted`.
    pub async fn await_answer(&self, sql: &str, wanted: &str) {
        let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
        loop {
            let answer = self.ask(SUPERUSER, sql).await;
            if answer == wanted {
                return;
            }
            assert!(std::time::Instant::now() < until, "{sql}: {answer}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

pub fn spec(databases: &[&str]) -> DatabaseSpec {
    DatabaseSpec {
        engine: EngineChoice::Postgresql,
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

pub fn target(database: &str, facts: &DatabaseFacts) -> DatabaseTarget {
    DatabaseTarget { database: database.to_owned(), existing: false, facts: facts.clone(), dry_run: false }
}

pub fn said(warnings: &Warnings) -> Vec<(WarningCode, String)> {
    warnings.kept.iter().map(|w| (w.code, w.path.clone().unwrap_or_default())).collect()
}

/// Rows that are too many for window and buffers, so that pg_dump waits in the middle of them while nobody reads.
pub const BIG: &str = "CREATE TABLE big AS SELECT n AS id, repeat(md5(n::text), 32) AS v FROM generate_series(1, 90000) n; \
    CREATE TABLE small AS SELECT 1 AS a;";

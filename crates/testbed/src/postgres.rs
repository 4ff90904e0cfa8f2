//! Postgres for tests: a private cluster on a unix socket, and databases copied from a migrated template.
//!
//! One cluster serves a whole test session (`testbed run …` and the nextest set-up set [`CLUSTER_ENV`]); without that,
//! a process starts its own at first use. A keeper process waits for the end of a pipe that only the owner holds, so
//! the cluster goes away however its owner ends. The databases belong to a role that is *not* a superuser: a superuser
//! passes row-level security by, and a test against one would prove nothing.

use anyhow::{Context, Result, bail};
use holdfast_migration::{Migrator, migrate_queue};
use sea_orm::SqlxPostgresConnector;
use sea_orm_migration::MigratorTrait;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use tokio::sync::OnceCell;

/// Names the folder of the socket of the session's cluster.
pub const CLUSTER_ENV: &str = "HOLDFAST_TEST_CLUSTER";

const SUPERUSER: &str = "postgres";
const OWNER: &str = "holdfast_owner";
const APP_LOGIN: &str = "holdfast_app_login";
const TEMPLATE: &str = "holdfast_template";

/// Settings of a cluster whose data nobody needs after a crash.
const SETTINGS: &str = "\
listen_addresses = ''
max_connections = 300
shared_buffers = '64MB'
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum_naptime = '10min'
log_min_messages = warning
";

/// Runs until its stdin ends, which is when the owner of the pipe is gone; then stops the server and removes the folder.
pub(crate) const KEEPER: &str =
    r#"cat >/dev/null; "$1" -D "$2/data" -m immediate stop >/dev/null 2>&1; rm -rf -- "$2""#;

/// A private cluster, gone when this is dropped.
pub struct Cluster {
    dir: PathBuf,
    keeper: Child,
    pipe: Option<ChildStdin>,
}

impl Cluster {
    /// Makes and starts a cluster with the migrated template in it; about two seconds.
    ///
    /// # Errors
    /// Postgres' server programs are not installed, or did not start; the message carries their output.
    pub async fn start() -> Result<Self> {
        let cluster = tokio::task::spawn_blocking(Self::start_server).await.context("starting Postgres")??;
        cluster.make_template().await.context("making the template database")?;
        Ok(cluster)
    }

    /// The folder of the unix socket: what [`CLUSTER_ENV`] carries.
    #[must_use]
    pub fn socket_dir(&self) -> &Path {
        &self.dir
    }

    /// Kills the server the hard way and starts it again, as a crash and a restart would; sessions are lost.
    ///
    /// # Errors
    /// The server did not come back.
    pub async fn crash_and_restart(&self) -> Result<()> {
        let dir = self.dir.clone();
        tokio::task::spawn_blocking(move || {
            pg_ctl(&dir, &["-m", "immediate", "stop"])?;
            pg_ctl(&dir, &["-w", "-l", &path_text(&dir.join("log")), "start"])
        })
        .await
        .context("restarting Postgres")?
    }

    /// A fresh migrated database in this cluster.
    ///
    /// # Errors
    /// The server refused.
    pub async fn database(&self) -> Result<Database> {
        Database::create(&self.dir, Some(TEMPLATE)).await
    }

    fn start_server() -> Result<Self> {
        let dir = private_dir()?;
        let log = path_text(&dir.join("log"));
        let data = path_text(&dir.join("data"));
        run(Command::new(server_program("initdb")?)
            .args(["-D", &data, "-U", SUPERUSER, "-A", "trust", "-N", "-E", "UTF8"]))?;
        let socket = format!("unix_socket_directories = '{}'\n", path_text(&dir));
        std::fs::write(dir.join("data/postgresql.auto.conf"), format!("{SETTINGS}{socket}"))?;
        let mut keeper =
            as_server_user(Command::new("/bin/sh").args(["-c", KEEPER, "sh"]).arg(server_program("pg_ctl")?).arg(&dir))
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .process_group(0)
                .spawn()
                .context("starting the keeper of the test cluster")?;
        let pipe = keeper.stdin.take();
        let cluster = Self { dir, keeper, pipe };
        pg_ctl(&cluster.dir, &["-w", "-l", &log, "start"])?;
        Ok(cluster)
    }

    async fn make_template(&self) -> Result<()> {
        let admin = admin_pool(&self.dir).await?;
        for statement in [
            format!("CREATE ROLE {OWNER} LOGIN CREATEDB CREATEROLE"),
            format!("CREATE DATABASE {TEMPLATE} OWNER {OWNER}"),
        ] {
            sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&admin).await?;
        }
        let owner = pool(options(&self.dir, OWNER, TEMPLATE), 2).await?;
        Migrator::up(&SqlxPostgresConnector::from_sqlx_postgres_pool(owner.clone()), None).await?;
        migrate_queue(&owner).await?;
        owner.close().await;
        let login = format!("CREATE ROLE {APP_LOGIN} LOGIN IN ROLE holdfast_app");
        sqlx::raw_sql(sqlx::AssertSqlSafe(login)).execute(&admin).await?;
        admin.close().await;
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.pipe.take());
        // The keeper's result says nothing that a caller could act on.
        let _ = self.keeper.wait();
    }
}

/// A database of one test. It goes away with its cluster.
#[derive(Clone)]
pub struct Database {
    socket_dir: PathBuf,
    name: String,
}

impl Database {
    /// A database with the current schema, in the session's cluster or in one of this process.
    ///
    /// # Errors
    /// No cluster could be reached or started.
    pub async fn fresh() -> Result<Self> {
        Self::create(shared_cluster().await?, Some(TEMPLATE)).await
    }

    /// A database without any table, for tests of the migrations themselves.
    ///
    /// # Errors
    /// As [`Database::fresh`].
    pub async fn empty() -> Result<Self> {
        Self::create(shared_cluster().await?, None).await
    }

    /// The database's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Connects as the owner of the tables (no superuser): what `DATABASE_URL` stands for.
    #[must_use]
    pub fn owner_options(&self) -> PgConnectOptions {
        options(&self.socket_dir, OWNER, &self.name)
    }

    /// [`Database::owner_options`] as a URL.
    #[must_use]
    pub fn owner_url(&self) -> String {
        self.url(OWNER)
    }

    /// Connects as a log-in that has the application's rights alone: what `DATABASE_APP_URL` stands for.
    #[must_use]
    pub fn app_options(&self) -> PgConnectOptions {
        options(&self.socket_dir, APP_LOGIN, &self.name)
    }

    /// [`Database::app_options`] as a URL.
    #[must_use]
    pub fn app_url(&self) -> String {
        self.url(APP_LOGIN)
    }

    /// The server's socket, for a relay.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.socket_dir.join(".s.PGSQL.5432")
    }

    /// [`Database::app_url`] through a relay at `host` and `port`.
    #[must_use]
    pub fn app_url_at(&self, host: &str, port: u16) -> String {
        format!("postgres://{APP_LOGIN}@{host}:{port}/{}?sslmode=disable", self.name)
    }

    /// A small pool as the owner, for looking behind the scenes.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub async fn owner_pool(&self) -> Result<PgPool> {
        pool(self.owner_options(), 4).await
    }

    async fn create(socket_dir: &Path, template: Option<&str>) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // A long run starts more processes than there are process numbers, so the moment stands beside the number.
        let now_ns = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
        let name = format!("t{now_ns}_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let admin = admin_pool(socket_dir).await?;
        let template = template.unwrap_or("template0");
        let statement = format!("CREATE DATABASE {name} TEMPLATE {template} OWNER {OWNER}");
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&admin).await.context("creating a test database")?;
        admin.close().await;
        Ok(Self { socket_dir: socket_dir.to_owned(), name })
    }

    fn url(&self, user: &str) -> String {
        format!("postgres://{user}@localhost/{}?host={}", self.name, path_text(&self.socket_dir))
    }
}

/// The session's cluster if there is one, else this process's own.
async fn shared_cluster() -> Result<&'static Path> {
    static SESSION: OnceCell<PathBuf> = OnceCell::const_new();
    // Never dropped: its keeper ends it when the process is gone.
    static OWN: OnceCell<Cluster> = OnceCell::const_new();
    match std::env::var_os(CLUSTER_ENV) {
        Some(dir) => Ok(SESSION.get_or_init(async || PathBuf::from(dir)).await),
        None => Ok(OWN.get_or_try_init(Cluster::start).await?.socket_dir()),
    }
}

fn options(socket_dir: &Path, user: &str, database: &str) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass().socket(socket_dir).port(5432).username(user).database(database)
}

async fn pool(options: PgConnectOptions, size: u32) -> Result<PgPool> {
    PgPoolOptions::new().max_connections(size).connect_with(options).await.context("connecting to the test cluster")
}

async fn admin_pool(socket_dir: &Path) -> Result<PgPool> {
    pool(options(socket_dir, SUPERUSER, SUPERUSER), 1).await
}

pub(crate) fn pg_ctl(dir: &Path, arguments: &[&str]) -> Result<()> {
    run(Command::new(server_program("pg_ctl")?).arg("-D").arg(dir.join("data")).args(arguments))
}

/// A folder that the server's user owns, short enough for the path of a unix socket (107 bytes).
pub(crate) fn private_dir() -> Result<PathBuf> {
    let dir = tempfile::Builder::new().prefix("holdfast-pg-").tempdir_in("/tmp")?.keep();
    if let Some((uid, gid)) = server_user() {
        std::os::unix::fs::chown(&dir, Some(uid), Some(gid))?;
    }
    Ok(dir)
}

/// Postgres refuses to run as root: the user to be instead, or `None` when this process is an ordinary user.
fn server_user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let find = |user: &str| {
        let mut fields = passwd.lines().find(|line| line.split(':').next() == Some(user))?.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    find("postgres").or_else(|| find("nobody"))
}

pub(crate) fn as_server_user(command: &mut Command) -> &mut Command {
    if let Some((uid, gid)) = server_user() {
        command.uid(uid).gid(gid);
    }
    command.current_dir("/")
}

pub(crate) fn run(command: &mut Command) -> Result<()> {
    let output =
        as_server_user(command).stdin(Stdio::null()).output().with_context(|| format!("running {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}

/// Where Debian keeps the server's programs, or else wherever `PATH` finds them.
pub(crate) fn server_program(name: &str) -> Result<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.flatten().map(|v| v.path().join("bin").join(name)).filter(|p| p.exists()).collect())
        .unwrap_or_default();
    found.sort();
    let in_path = || std::env::split_paths(&std::env::var_os("PATH")?).map(|p| p.join(name)).find(|p| p.exists());
    found.pop().or_else(in_path).with_context(|| format!("`{name}` is missing: apt-get install postgresql"))
}

pub(crate) fn path_text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

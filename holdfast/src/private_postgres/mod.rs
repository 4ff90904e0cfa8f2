//! The private database of one machine: a Postgres cluster inside the data folder, made and started with the system's
//! programs, reachable through a unix socket by this user alone. It must never listen on the network, and never be
//! stopped under somebody who uses it.
//!
//! The server runs in a session of its own, so that it outlives a crash of ours; whoever owns the data folder next
//! takes it over, and stops it at its own end.

mod programs;
mod server_user;

use crate::data_dir::{DataDir, Lock};
use anyhow::{Context, Result, bail};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use server_user::Users;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Executor};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::Command;

const SUPERUSER: &str = "postgres";
/// Owns the schema; no superuser, so that the owner's policies are tried every day.
const OWNER: &str = "holdfast";
/// The log-in of api and workers: the application's rights and no way to more.
const APP_LOGIN: &str = "holdfast_app_login";
/// Reads everything, for copies of the whole database, and changes nothing.
const COPY_LOGIN: &str = "holdfast_copy_login";
const DATABASE: &str = "holdfast";

/// How long a starting or stopping server may take (recovery after a crash included).
const SERVER_SECS: &str = "120";
/// Between two looks at the server.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);
/// How long to wait for a folder that another command owns.
const OWNER_WAIT: Duration = Duration::from_secs(60);
/// How long the end of ours waits for other commands.
const USERS_WAIT: Duration = Duration::from_secs(30);

/// `TERSE` keeps values of rows (e-mail addresses, names) out of the log.
const SETTINGS: &str = "\
# Written by `holdfast` at every start; changes here are lost.
listen_addresses = ''
max_connections = 200
logging_collector = on
log_directory = 'log'
log_filename = 'postgres-%a.log'
log_truncate_on_rotation = on
log_rotation_age = '1d'
log_rotation_size = 0
log_error_verbosity = terse
";

/// The private database, running.
pub struct PrivatePostgres {
    data_dir: DataDir,
    socket_dir: PathBuf,
    users: Users,
    bin: PathBuf,
    hold: Hold,
}

/// In which way this process holds the database.
enum Hold {
    /// It started (or took over) the server and stops it.
    Owner(#[expect(dead_code, reason = "held for its lock")] Lock),
    /// Another process does; this one only uses it.
    User(#[expect(dead_code, reason = "held for its lock")] Lock),
}

impl PrivatePostgres {
    /// Makes, starts, takes over or joins the database of `data_dir`, whichever it needs. `role` is the word that
    /// others read when they find the folder taken; only one `up` may own it.
    ///
    /// # Errors
    /// One sentence that says what is in the way and what to do.
    pub async fn open(data_dir: &DataDir, role: &'static str) -> Result<Self> {
        let users = Users::find()?;
        let bin = programs::find(&data_dir.postgres())?;
        users.check_way_to(data_dir.path())?;
        let socket_dir = socket_dir(data_dir.path());
        let start = Instant::now();
        loop {
            if let Some(lock) = data_dir.try_own(role)? {
                let hold = Hold::Owner(lock);
                let server = Self { data_dir: data_dir.clone(), socket_dir, users, bin, hold };
                if let Err(error) = server.bring_up().await {
                    // A start that fails leaves nothing running; the first error is the one to tell.
                    let _ = server.stop_server().await;
                    return Err(error);
                }
                return Ok(server);
            }
            let (owner, pid) = data_dir.owner().unwrap_or_default();
            if role == "up" && owner == "up" {
                bail!("`holdfast up` (process {pid}) already runs with the data folder {}", data_dir.path().display());
            }
            let lock = data_dir.join_users()?;
            if role != "up" && answers(&socket_dir, OWNER, DATABASE).await {
                let hold = Hold::User(lock);
                return Ok(Self { data_dir: data_dir.clone(), socket_dir, users, bin, hold });
            }
            drop(lock);
            if start.elapsed() > OWNER_WAIT {
                bail!("`holdfast {owner}` (process {pid}) uses the data folder; try again when it has ended");
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// `DATABASE_URL` of this database.
    pub fn owner_url(&self) -> String {
        self.url(OWNER)
    }

    /// `DATABASE_COPY_URL` of this database; the log-in exists once [`PrivatePostgres::make_logins`] was called.
    pub fn copy_url(&self) -> String {
        self.url(COPY_LOGIN)
    }

    /// `DATABASE_APP_URL` of this database; the log-in exists once [`PrivatePostgres::make_logins`] was called.
    pub fn app_url(&self) -> String {
        self.url(APP_LOGIN)
    }

    /// Makes the log-ins of api and workers. After the migrations, which make the role they get their rights from.
    ///
    /// # Errors
    /// The server refused.
    pub async fn make_logins(&self) -> Result<()> {
        let mut connection = PgConnection::connect_with(&options(&self.socket_dir, SUPERUSER, DATABASE)).await?;
        for (login, create) in [
            (APP_LOGIN, "CREATE ROLE holdfast_app_login LOGIN IN ROLE holdfast_app"),
            // The teams' rows are hidden from everybody whom a policy does not name; a copy must have them all.
            (COPY_LOGIN, "CREATE ROLE holdfast_copy_login LOGIN BYPASSRLS IN ROLE pg_read_all_data"),
        ] {
            let question = "SELECT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = $1), \
                            EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'pg_read_all_data')";
            let (exists, can_read_all): (bool, bool) =
                sqlx::query_as(question).bind(login).fetch_one(&mut connection).await?;
            // PostgreSQL 13 has no such role; copies of the whole are then left to `holdfast admin backup`.
            if !exists && (can_read_all || login != COPY_LOGIN) {
                connection.execute(create).await?;
            }
        }
        connection.close().await.context("closing the connection")
    }

    /// Looks after the server and starts it again when it ended; returns only when that fails.
    pub async fn keep_running(&self) -> anyhow::Error {
        loop {
            tokio::time::sleep(WATCH_INTERVAL).await;
            if !self.is_alive() {
                tracing::error!("the private PostgreSQL has ended by itself and is started again");
                if let Err(error) = self.bring_up().await {
                    return error;
                }
            }
        }
    }

    fn is_alive(&self) -> bool {
        let pid = std::fs::read_to_string(self.data_dir.postgres().join("postmaster.pid")).unwrap_or_default();
        let pid = pid.lines().next().and_then(|line| line.trim().parse().ok()).and_then(Pid::from_raw);
        // Refused means that it lives and belongs to another user.
        pid.is_some_and(|pid| matches!(test_kill_process(pid), Ok(()) | Err(Errno::PERM)))
    }

    /// Lets go: the owner waits for others and stops the server, a user only leaves.
    ///
    /// # Errors
    /// The server could not be stopped.
    pub async fn close(self) -> Result<()> {
        if let Hold::User(_) = self.hold {
            return Ok(());
        }
        if let Err(error) = self.data_dir.wait_for_users(USERS_WAIT).await {
            tracing::warn!("stopping the database although {error}");
        }
        self.stop_server().await
    }

    async fn stop_server(&self) -> Result<()> {
        let stopped = self.pg_ctl(&["-m", "fast", "-w", "-t", SERVER_SECS, "stop"]).await;
        // The folder is under /run or /tmp and made again at the next start; one with a socket in it stays.
        let _ = std::fs::remove_dir(&self.socket_dir);
        stopped.context("stopping the private PostgreSQL")
    }

    async fn bring_up(&self) -> Result<()> {
        let data = self.data_dir.postgres();
        if !data.join("PG_VERSION").exists() {
            self.make_cluster(&data).await?;
        }
        if self.pg_ctl(&["status"]).await.is_ok() {
            if answers(&self.socket_dir, SUPERUSER, SUPERUSER).await {
                tracing::info!("took over the private PostgreSQL that was left running");
                return self.make_database().await;
            }
            self.pg_ctl(&["-m", "fast", "-w", "-t", SERVER_SECS, "stop"])
                .await
                .context("stopping a server left over")?;
        }
        self.prepare_socket_dir()?;
        self.write_settings(&data)?;
        self.pg_ctl(&["-w", "-t", SERVER_SECS, "-l", &text(&data.join("start.log"))?, "start"]).await.with_context(
            || format!("the private PostgreSQL did not start; its log is in {}", data.join("log").display()),
        )?;
        self.make_database().await
    }

    /// Under another name first: a cluster that is only half made must not look like one.
    async fn make_cluster(&self, data: &Path) -> Result<()> {
        let part = data.with_extension("part");
        if part.exists() {
            std::fs::remove_dir_all(&part).context("removing a half-made database folder")?;
        }
        std::fs::DirBuilder::new().mode(0o700).create(&part).context("making the database folder")?;
        self.users.give(&part)?;
        let mut command = Command::new(self.bin.join("initdb"));
        command.args(["--data-checksums", "-E", "UTF8", "--locale=C.UTF-8", "-A", "reject", "-U", SUPERUSER, "-D"]);
        self.run(command.arg(&part)).await.context("making the private PostgreSQL failed")?;
        std::fs::rename(&part, data).context("naming the database folder")
    }

    fn write_settings(&self, data: &Path) -> Result<()> {
        let mut ident = String::new();
        for system in std::iter::once(&self.users.own).chain(&self.users.server) {
            for role in [SUPERUSER, OWNER, APP_LOGIN, COPY_LOGIN] {
                ident.push_str(&format!("holdfast \"{}\" {role}\n", system.name));
            }
        }
        let socket = format!("unix_socket_directories = '{}'\n", text(&self.socket_dir)?);
        for (name, content) in [
            ("holdfast.conf", format!("{SETTINGS}{socket}")),
            ("pg_hba.conf", "local all all peer map=holdfast\n".to_owned()),
            ("pg_ident.conf", ident),
        ] {
            let path = data.join(name);
            std::fs::write(&path, content).with_context(|| format!("{} cannot be written", path.display()))?;
            self.users.give(&path)?;
        }
        let main = data.join("postgresql.conf");
        let include = "\ninclude = 'holdfast.conf'\n";
        let content = std::fs::read_to_string(&main).context("postgresql.conf cannot be read")?;
        if !content.ends_with(include) {
            std::fs::write(&main, content + include).context("postgresql.conf cannot be written")?;
        }
        Ok(())
    }

    /// A folder in /tmp could have been put there by somebody else to catch our connections.
    fn prepare_socket_dir(&self) -> Result<()> {
        let dir = &self.socket_dir;
        let server_uid = self.users.server.as_ref().unwrap_or(&self.users.own).uid;
        match std::fs::symlink_metadata(dir) {
            Ok(meta) if meta.is_dir() && [0, self.users.own.uid, server_uid].contains(&meta.uid()) => {}
            Ok(_) => bail!("{} is in the way and belongs to somebody else: remove it", dir.display()),
            Err(_) => std::fs::DirBuilder::new()
                .mode(0o700)
                .create(dir)
                .with_context(|| format!("the folder {} of the database's socket cannot be made", dir.display()))?,
        }
        self.users.give(dir)
    }

    async fn make_database(&self) -> Result<()> {
        let mut connection = PgConnection::connect_with(&options(&self.socket_dir, SUPERUSER, SUPERUSER)).await?;
        let exists = "SELECT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = $1), \
                      EXISTS (SELECT 1 FROM pg_database WHERE datname = $2)";
        let (role, database): (bool, bool) =
            sqlx::query_as(exists).bind(OWNER).bind(DATABASE).fetch_one(&mut connection).await?;
        if !role {
            connection.execute("CREATE ROLE holdfast LOGIN CREATEROLE").await?;
        }
        if !database {
            connection.execute("CREATE DATABASE holdfast OWNER holdfast").await?;
        }
        connection.close().await.context("closing the connection")
    }

    fn url(&self, user: &str) -> String {
        format!("postgres://{user}@localhost/{DATABASE}?host={}", self.socket_dir.display())
    }

    async fn pg_ctl(&self, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new(self.bin.join("pg_ctl"));
        self.run(command.arg("-s").arg("-D").arg(self.data_dir.postgres()).args(arguments)).await
    }

    /// Own process group: Ctrl-C at the terminal must reach us, who drain first, and not the database.
    async fn run(&self, command: &mut Command) -> Result<()> {
        command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C.UTF-8").process_group(0);
        command.stdin(Stdio::null());
        let program = format!("{:?}", command.as_std().get_program());
        let output = self.users.run_as_server(command).output().await.with_context(|| format!("starting {program}"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("{program} said: {}", said.trim());
        }
        Ok(())
    }
}

/// `/run/holdfast-<hash of the data folder>`, or below /tmp where /run is closed: the path of a unix socket may have
/// 107 bytes, a data folder's is longer than that sooner or later.
fn socket_dir(data_dir: &Path) -> PathBuf {
    use std::hash::{Hash, Hasher};
    // Stable for one build is enough: a server left over under another name is stopped and started again.
    let mut hasher = std::hash::DefaultHasher::new();
    data_dir.hash(&mut hasher);
    let parent = if rustix::process::geteuid().is_root() && Path::new("/run").is_dir() { "/run" } else { "/tmp" };
    Path::new(parent).join(format!("holdfast-{:016x}", hasher.finish()))
}

fn options(socket_dir: &Path, user: &str, database: &str) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass().socket(socket_dir).port(5432).username(user).database(database)
}

async fn answers(socket_dir: &Path, user: &str, database: &str) -> bool {
    match PgConnection::connect_with(&options(socket_dir, user, database)).await {
        Ok(connection) => connection.close().await.is_ok(),
        Err(_) => false,
    }
}

fn text(path: &Path) -> Result<String> {
    path.to_str().map(str::to_owned).with_context(|| format!("{} is not a UTF-8 path", path.display()))
}

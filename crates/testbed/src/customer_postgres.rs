//! A customer's PostgreSQL server: loopback port and unix socket, passwords over TCP, the operating system's user over the
//! socket. Not the product's own database ([`crate::postgres`]). It must never be reachable from elsewhere.

use crate::postgres::{KEEPER, as_server_user, path_text, pg_ctl, private_dir, run, server_program};
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

/// The superuser.
pub const SUPERUSER: &str = "postgres";

/// The superuser's password over TCP: with what shells, option files and connection strings trip over.
pub const PASSWORD: &str = " p#'\"\\:$(x)`%!é=;&";

/// Settings of a server whose data nobody needs after a crash.
const SETTINGS: &str = "\
listen_addresses = '127.0.0.1'
password_encryption = 'scram-sha-256'
max_connections = 100
fsync = off
synchronous_commit = off
full_page_writes = off
log_min_messages = warning
";

/// The superuser needs no password on the socket, which only tests use it by; everybody else is who the system says.
const ACCESS: &str = "\
local all postgres trust
local all all peer
host all all 127.0.0.1/32 scram-sha-256
";

/// A running server, gone when this is dropped or its process ends.
pub struct CustomerPostgres {
    dir: PathBuf,
    port: u16,
    keeper: Child,
    pipe: Option<ChildStdin>,
}

impl CustomerPostgres {
    /// Makes and starts a server; about two seconds.
    ///
    /// # Errors
    /// PostgreSQL's server programs are not installed, or did not start; the message carries their output.
    pub async fn start() -> Result<Self> {
        let server = tokio::task::spawn_blocking(Self::start_server).await.context("starting PostgreSQL")??;
        server.query(SUPERUSER, &format!("ALTER ROLE {SUPERUSER} PASSWORD {}", literal(PASSWORD))).await?;
        Ok(server)
    }

    /// The loopback port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of the unix socket, which everybody may pass through.
    #[must_use]
    pub fn socket_dir(&self) -> &Path {
        &self.dir
    }

    /// The server's log so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(self.dir.join("log")).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default()
    }

    /// Runs `sql` in `database` as the superuser; the rows as text, `|` between columns.
    ///
    /// # Errors
    /// The server refused; the message carries its words.
    pub async fn query(&self, database: &str, sql: &str) -> Result<String> {
        let mut child = tokio::process::Command::from(self.psql(database)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting psql")?;
        if let Some(mut input) = child.stdin.take() {
            use tokio::io::AsyncWriteExt as _;
            // psql that ends early says why itself.
            let _ = input.write_all(sql.as_bytes()).await;
        }
        let output = child.wait_with_output().await?;
        ensure!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?.trim_end_matches('\n').to_owned())
    }

    /// Makes an empty database.
    ///
    /// # Errors
    /// As [`CustomerPostgres::query`].
    pub async fn create_database(&self, name: &str) -> Result<()> {
        self.query(SUPERUSER, &format!("CREATE DATABASE {}", identifier(name))).await.map(drop)
    }

    /// Makes a role that logs in over TCP with `password`, or over the socket as the system's user of that name.
    ///
    /// # Errors
    /// As [`CustomerPostgres::query`].
    pub async fn create_role(&self, name: &str, password: Option<&str>) -> Result<()> {
        let password = password.map(|password| format!(" PASSWORD {}", literal(password))).unwrap_or_default();
        self.query(SUPERUSER, &format!("CREATE ROLE {} LOGIN{password}", identifier(name))).await.map(drop)
    }

    /// Ends the server as a crash would.
    ///
    /// # Errors
    /// It does not run.
    pub async fn crash(&self) -> Result<()> {
        let dir = self.dir.clone();
        tokio::task::spawn_blocking(move || pg_ctl(&dir, &["-m", "immediate", "stop"])).await?
    }

    /// Starts it again after [`CustomerPostgres::crash`].
    ///
    /// # Errors
    /// It did not come up.
    pub async fn restart(&self) -> Result<()> {
        let dir = self.dir.clone();
        tokio::task::spawn_blocking(move || pg_ctl(&dir, &["-w", "-l", &path_text(&dir.join("log")), "start"])).await?
    }

    fn psql(&self, database: &str) -> Result<Command> {
        let mut command = Command::new(server_program("psql")?);
        command
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", SUPERUSER, "-f", "-"])
            .arg("-h")
            .arg(&self.dir)
            .env("PGPORT", self.port.to_string())
            .env("PGCLIENTENCODING", "UTF8")
            .env("PGDATABASE", database);
        Ok(command)
    }

    fn start_server() -> Result<Self> {
        let mut last = anyhow::anyhow!("no attempt was made");
        // Between choosing a free port and binding it, another may take it.
        for _ in 0..5 {
            match Self::attempt() {
                Ok(server) => return Ok(server),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn attempt() -> Result<Self> {
        let dir = private_dir()?;
        let data = path_text(&dir.join("data"));
        run(Command::new(server_program("initdb")?).args([
            "-D",
            &data,
            "-U",
            SUPERUSER,
            "-A",
            "trust",
            "-N",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
        ]))?;
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o711))?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let place = format!("unix_socket_directories = '{}'\nport = {port}\n", path_text(&dir));
        fs::write(dir.join("data/postgresql.auto.conf"), format!("{SETTINGS}{place}"))?;
        fs::write(dir.join("data/pg_hba.conf"), ACCESS)?;
        let mut keeper =
            as_server_user(Command::new("/bin/sh").args(["-c", KEEPER, "sh"]).arg(server_program("pg_ctl")?).arg(&dir))
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                // Whoever kills a test's process group must not kill what cleans up after it.
                .process_group(0)
                .spawn()
                .context("starting the keeper of the customer's PostgreSQL")?;
        let pipe = keeper.stdin.take();
        let server = Self { dir, port, keeper, pipe };
        match pg_ctl(&server.dir, &["-w", "-l", &path_text(&server.dir.join("log")), "start"]) {
            Ok(()) => Ok(server),
            Err(error) => bail!("{error:#}: {}", server.log()),
        }
    }
}

impl Drop for CustomerPostgres {
    fn drop(&mut self) {
        drop(self.pipe.take());
        // The keeper's result says nothing that a caller could act on.
        let _ = self.keeper.wait();
    }
}

/// `text` as an SQL literal.
#[must_use]
pub fn literal(text: &str) -> String {
    format!(" E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// `name` as an SQL identifier.
#[must_use]
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

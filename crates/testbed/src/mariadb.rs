//! A customer's MariaDB server: loopback port and unix socket, a user with all rights over both. It must never be
//! reachable from elsewhere.

use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The user with all rights, over TCP and the socket alike.
pub const ADMIN: &str = "admin";

/// That user's password: with what shells, option files and connection strings trip over.
pub const PASSWORD: &str = " p#'\"\\:$(x)`%!é=;&";

/// Settings of a server whose data nobody needs after a crash.
const SETTINGS: &str = "\
bind-address=127.0.0.1
skip-name-resolve
character-set-server=utf8mb4
innodb-flush-log-at-trx-commit=0
innodb-doublewrite=0
innodb-log-file-size=256M
innodb-buffer-pool-size=128M
max-allowed-packet=64M
log-bin-trust-function-creators=1
";

/// Starts the server; on a line `crash` kills it, on `start` starts it again; when the owner's pipe ends, everything goes.
const KEEPER: &str = r#"
run() { mariadbd --defaults-file="$1/my.cnf" >>"$1/log" 2>&1 & s=$!; }
run "$1"
while read -r word; do
    case $word in
        crash) kill -9 "$s"; wait "$s" 2>/dev/null ;;
        start) run "$1" ;;
    esac
done
kill -9 "$s" 2>/dev/null; wait "$s" 2>/dev/null; rm -rf -- "$1"
"#;

/// How long a server may take to answer or to be gone.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

/// A running server, gone when this is dropped or its process ends.
pub struct MariaDb {
    dir: PathBuf,
    port: u16,
    keeper: Child,
}

impl MariaDb {
    /// Makes and starts a server; about five seconds.
    ///
    /// # Errors
    /// MariaDB's server programs are not installed, or did not start; the message carries their output.
    pub async fn start() -> Result<Self> {
        Self::start_with("").await
    }

    /// The same with lines of `my.cnf` after the usual ones; the last of two wins.
    ///
    /// # Errors
    /// As [`MariaDb::start`].
    pub async fn start_with(settings: &str) -> Result<Self> {
        let settings = settings.to_owned();
        let made = tokio::task::spawn_blocking(move || Self::make(&settings)).await.context("starting MariaDB")?;
        let server = made?;
        server.wait_until_up().await?;
        let statements = format!(
            "DROP USER IF EXISTS 'root'@'127.0.0.1', 'root'@'::1';
             CREATE USER {ADMIN}@'%' IDENTIFIED BY {0}; GRANT ALL ON *.* TO {ADMIN}@'%' WITH GRANT OPTION;",
            literal(PASSWORD)
        );
        server.query("mysql", &statements).await?;
        Ok(server)
    }

    /// The loopback port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The unix socket, where `root` needs no password.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir.join("socket")
    }

    /// The server's log so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(self.dir.join("log")).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default()
    }

    /// Runs `sql` in `database` as root; the rows as the client's `--batch` writes them: a tab between columns, and
    /// backslashes, tabs and line ends escaped.
    ///
    /// # Errors
    /// The server refused; the message carries its words.
    pub async fn query(&self, database: &str, sql: &str) -> Result<String> {
        let mut child = tokio::process::Command::new("mariadb")
            .arg("--no-defaults")
            .args(["--user=root", "--default-character-set=utf8mb4", "--batch", "--skip-column-names"])
            .arg(format!("--socket={}", self.socket().display()))
            .arg(format!("--database={database}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting mariadb")?;
        if let Some(mut input) = child.stdin.take() {
            use tokio::io::AsyncWriteExt as _;
            // A client that ends early says why itself.
            let _ = input.write_all(sql.as_bytes()).await;
        }
        let output = child.wait_with_output().await?;
        ensure!(output.status.success(), "mariadb: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?.trim_end_matches('\n').to_owned())
    }

    /// Makes an empty database.
    ///
    /// # Errors
    /// As [`MariaDb::query`].
    pub async fn create_database(&self, name: &str) -> Result<()> {
        self.query("mysql", &format!("CREATE DATABASE {}", identifier(name))).await.map(drop)
    }

    /// Makes a user without rights, over TCP and the socket.
    ///
    /// # Errors
    /// As [`MariaDb::query`].
    pub async fn create_user(&self, name: &str, password: &str) -> Result<()> {
        let statement = format!("CREATE USER {}@'%' IDENTIFIED BY {}", literal(name), literal(password));
        self.query("mysql", &statement).await.map(drop)
    }

    /// Kills the server.
    ///
    /// # Errors
    /// It does not go.
    pub async fn crash(&mut self) -> Result<()> {
        self.tell("crash\n")?;
        let until = Instant::now() + PATIENCE;
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
            ensure!(Instant::now() < until, "MariaDB does not go");
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Starts it again after [`MariaDb::crash`].
    ///
    /// # Errors
    /// It did not come up.
    pub async fn restart(&mut self) -> Result<()> {
        self.tell("start\n")?;
        self.wait_until_up().await
    }

    fn tell(&mut self, word: &str) -> Result<()> {
        let pipe = self.keeper.stdin.as_mut().context("the keeper has no pipe")?;
        Ok(pipe.write_all(word.as_bytes())?)
    }

    async fn wait_until_up(&self) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.query("mysql", "SELECT 1").await {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > until => bail!("{error:#}; its log: {}", self.log()),
                Err(_) => tokio::time::sleep(POLL).await,
            }
        }
    }

    fn make(settings: &str) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("holdfast-my-").tempdir_in("/tmp")?.keep();
        // Clients of any user reach the socket.
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o711))?;
        let at = dir.display();
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let user = server_user();
        if let Some((_, uid, gid)) = user {
            std::os::unix::fs::chown(&dir, Some(uid), Some(gid))?;
        }
        let user_line = user.map(|(name, ..)| format!("user={name}\n")).unwrap_or_default();
        let config = format!(
            "[mariadbd]\n{user_line}datadir={at}/data\nsocket={at}/socket\npid-file={at}/pid\ntmpdir={at}\nport={port}\n\
             {SETTINGS}{settings}\n"
        );
        fs::write(dir.join("my.cnf"), config)?;
        let output = Command::new("mariadb-install-db")
            .arg(format!("--defaults-file={at}/my.cnf"))
            .args(["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"])
            .stdin(Stdio::null())
            .output()
            .context("`mariadb-install-db` is missing: apt-get install mariadb-server")?;
        if !output.status.success() {
            bail!("mariadb-install-db: {}", String::from_utf8_lossy(&output.stderr));
        }
        let keeper = Command::new("/bin/sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(&dir)
            .env("PATH", path_with_sbin())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Whoever kills a test's process group must not kill what cleans up after it.
            .process_group(0)
            .spawn()
            .context("starting the keeper of the customer's MariaDB")?;
        Ok(Self { dir, port, keeper })
    }

    /// The folder with configuration, data and log.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // The keeper's result says nothing that a caller could act on.
        let _ = self.keeper.wait();
    }
}

/// The server does not run as root: then it is the package's user.
fn server_user() -> Option<(&'static str, u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut fields = passwd.lines().find(|line| line.starts_with("mysql:"))?.split(':').skip(2);
    Some(("mysql", fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// `mariadbd` lies where only root looks.
fn path_with_sbin() -> String {
    format!("{}:/usr/sbin:/usr/local/sbin", std::env::var("PATH").unwrap_or_default())
}

/// `text` as an SQL literal.
#[must_use]
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// `name` as an SQL identifier.
#[must_use]
pub fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

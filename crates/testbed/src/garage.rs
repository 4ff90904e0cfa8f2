//! A real S3 server: Garage, one node with one bucket on loopback, gone with its handle or with the process that
//! started it. Its keys are constants of this file; nothing secret may be stored there.

use crate::product::free_port;
use anyhow::{Context, Result, bail, ensure};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The bucket that exists from the start.
pub const BUCKET: &str = "backups";
/// What signatures must say; another region is refused, as at real stores.
pub const REGION: &str = "garage";
/// May read and write [`BUCKET`].
pub const ACCESS_KEY: &str = "GK31c2f218a2e44f485b94239e";
/// Belongs to [`ACCESS_KEY`].
pub const SECRET_KEY: &str = "b892c0665f0ada8a4755dae98baa3b133590e11dae3bcc1f9d769d67f16c3835";

/// Starting takes a second or two on an idle machine.
const START_LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);

/// Runs the server until its own stdin ends, which is when the owner of the pipe is gone; then removes the folder.
const KEEPER: &str = r#""$1" -c "$2" server --single-node --default-bucket >"$3" 2>&1 </dev/null & p=$!
cat >/dev/null; kill "$p" 2>/dev/null; wait "$p"; rm -rf -- "$4""#;

/// A running server.
pub struct Garage {
    folder: TempDir,
    port: u16,
    keeper: Child,
    pipe: Option<ChildStdin>,
}

impl Garage {
    /// Starts a server with an empty bucket.
    ///
    /// # Errors
    /// The program is missing, or did not start; the message carries its output.
    pub async fn start() -> Result<Self> {
        let mut last = anyhow::anyhow!("no port was free");
        // A port that was free may be taken by another test meanwhile.
        for _ in 0..3 {
            match Self::try_start().await {
                Ok(garage) => return Ok(garage),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// `http://127.0.0.1:port`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The S3 port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Output of `garage <arguments>`: buckets, keys, quotas.
    ///
    /// # Errors
    /// It refused; the message carries what it said.
    pub async fn admin(&self, arguments: &[&str]) -> Result<String> {
        let output = tokio::process::Command::new(program()?)
            .arg("-c")
            .arg(self.config())
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .await?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "garage {arguments:?}: {said}");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Objects in [`BUCKET`], and uploads that were begun and neither completed nor ended.
    ///
    /// # Errors
    /// The server does not say.
    pub async fn held(&self) -> Result<(u64, u64)> {
        let info = self.admin(&["bucket", "info", BUCKET]).await?;
        // Lines that would say 0 may be left out.
        let number = |name: &str| {
            let line = info.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
            let digits: String = line.trim().chars().take_while(char::is_ascii_digit).collect();
            if digits.is_empty() { Ok(0) } else { digits.parse() }
        };
        Ok((number("Objects:")?, number("Unfinished uploads:")?))
    }

    /// What the server wrote.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    async fn try_start() -> Result<Self> {
        let program = program()?;
        let folder = tempfile::Builder::new().prefix("hf-garage-").tempdir()?;
        let port = free_port()?;
        let config = config_text(folder.path(), port)?;
        std::fs::write(folder.path().join("garage.toml"), config)?;
        let mut keeper = Command::new("/bin/sh")
            .args(["-c", KEEPER, "sh"])
            .arg(program)
            .arg(folder.path().join("garage.toml"))
            .arg(folder.path().join("log"))
            .arg(folder.path())
            .envs([("GARAGE_DEFAULT_ACCESS_KEY", ACCESS_KEY), ("GARAGE_DEFAULT_SECRET_KEY", SECRET_KEY)])
            .envs([("GARAGE_DEFAULT_BUCKET", BUCKET), ("RUST_LOG", "garage=info")])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("starting Garage")?;
        let pipe = keeper.stdin.take();
        let garage = Self { folder, port, keeper, pipe };
        garage.wait_until_ready().await?;
        Ok(garage)
    }

    /// Ready is when the bucket can be listed by the command line: the layout, key and bucket are made by then.
    async fn wait_until_ready(&self) -> Result<()> {
        let until = Instant::now() + START_LIMIT;
        loop {
            let listed = self.admin(&["bucket", "info", BUCKET]).await;
            if listed.is_ok_and(|info| info.contains(ACCESS_KEY))
                && tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_ok()
            {
                return Ok(());
            }
            if Instant::now() > until {
                bail!("Garage was not ready in {} s; it wrote:\n{}", START_LIMIT.as_secs(), self.log());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("garage.toml")
    }
}

impl Drop for Garage {
    fn drop(&mut self) {
        drop(self.pipe.take());
        // The keeper's result says nothing that a caller could act on.
        let _ = self.keeper.wait();
    }
}

fn config_text(folder: &Path, port: u16) -> Result<String> {
    let (folder, rpc) = (folder.display(), free_port()?);
    Ok(format!(
        "metadata_dir = \"{folder}/meta\"\ndata_dir = \"{folder}/data\"\ndb_engine = \"sqlite\"\n\
         metadata_fsync = false\ndata_fsync = false\nreplication_factor = 1\n\
         rpc_bind_addr = \"127.0.0.1:{rpc}\"\nrpc_public_addr = \"127.0.0.1:{rpc}\"\n\
         rpc_secret = \"{}\"\n\n[s3_api]\ns3_region = \"{REGION}\"\napi_bind_addr = \"127.0.0.1:{port}\"\n",
        "5c".repeat(32)
    ))
}

/// Where `./dev` built it, or wherever `PATH` finds it.
fn program() -> Result<PathBuf> {
    let in_path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&in_path).chain([crate::tools().join("bin")]);
    let found = places.map(|place| place.join("garage")).find(|path| path.is_file());
    found.context("`garage` is missing: `./dev test` builds it once with cargo")
}

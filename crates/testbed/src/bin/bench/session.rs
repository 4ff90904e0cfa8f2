//! A fresh product with one server and one destination, and the folder all measurements share.

use anyhow::{Context, Result, ensure};
use holdfast_testbed::client::ApiClient;
use holdfast_testbed::processes;
use holdfast_testbed::product::{Product, ProductOptions};
use holdfast_testbed::sshd::Sshd;
use holdfast_testbed::steps;
use holdfast_testbed::tree::{TreeSpec, generate};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The user that both sides log in as.
pub(crate) const USER: &str = "root";
/// A quiet server, for both sides: the test bed's usual one writes a debug log.
const SSHD_SETTINGS: &str = "LogLevel ERROR";

/// What all parts share.
pub(crate) struct Bench {
    pub(crate) binary: PathBuf,
    pub(crate) rounds: usize,
    folder: PathBuf,
}

impl Bench {
    /// Makes the folder.
    pub(crate) fn prepare(binary: &Path, folder: &Path, rounds: usize) -> Result<Self> {
        let binary =
            binary.canonicalize().with_context(|| format!("there is no {}: build it first", binary.display()))?;
        ensure!(rounds > 0, "at least one round");
        let folder = folder.join(format!("holdfast-bench-{}", std::process::id()));
        fs::create_dir(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        // The database's user passes through it.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o711))?;
        Ok(Self { binary, rounds, folder })
    }

    /// A path in the bench's folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A tree in the bench's folder, read once so that both sides find it in the page cache.
    pub(crate) async fn tree(&self, name: &str, spec: TreeSpec) -> Result<PathBuf> {
        let path = self.path(name);
        let made = path.clone();
        tokio::task::spawn_blocking(move || generate(&made, &spec)).await??;
        let warmed = tokio::process::Command::new("sh")
            .args(["-c", r#"sync; tar -cf - -- "$1" 2>/dev/null | cat >/dev/null"#, "warm"])
            .arg(&path)
            .status()
            .await?;
        ensure!(warmed.success(), "reading {} failed", path.display());
        Ok(path)
    }

    /// A server of its own.
    pub(crate) fn sshd(&self) -> Result<Sshd> {
        Sshd::start_with(SSHD_SETTINGS)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A running product that knows one server and one destination.
pub(crate) struct Session {
    pub(crate) product: Product,
    pub(crate) client: ApiClient,
    pub(crate) server: i64,
    pub(crate) destination: i64,
    _sshd: Sshd,
}

impl Session {
    /// Starts a product with one worker and a server of its own. `reach` may put something between: it gets the
    /// server's port and gives the one to be registered.
    pub(crate) async fn open<P>(bench: &Bench, name: &str, reach: P) -> Result<Self>
    where
        P: AsyncFnOnce(u16) -> Result<u16>,
    {
        let sshd = bench.sshd()?;
        let port = reach(sshd.port()).await?;
        let settings = [
            ("HOLDFAST__EGRESS__ALLOW", "127.0.0.0/8"),
            ("HOLDFAST__HTTP__RATE_LIMIT_PER_MIN", "0"),
            ("HOLDFAST__HTTP__RUN_RATE_LIMIT_PER_MIN", "0"),
            ("HOLDFAST__HTTP__EVENT_STREAMS_PER_TEAM", "2000"),
            ("HOLDFAST__HTTP__EVENT_STREAMS_PER_USER", "2000"),
        ];
        let product = Product::start(ProductOptions {
            binary: bench.binary.clone(),
            data_dir: bench.path(name),
            workers: 1,
            settings: settings.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec(),
        })
        .await?;
        let client = product.set_up().await?;
        let server = steps::register_server(&client, &sshd, port, USER).await?;
        let destination = steps::create_destination(&client).await?;
        Ok(Self { product, client, server, destination, _sshd: sshd })
    }

    /// A task that reads `path`.
    pub(crate) async fn task(&self, path: &Path, more: Value) -> Result<i64> {
        steps::create_task(&self.client, self.server, self.destination, path, more).await
    }

    /// The worker's process id.
    pub(crate) fn worker_pid(&self) -> Result<u32> {
        Ok(self.product.of_role("worker")?.first().context("there is no worker")?.pid)
    }

    /// Processor seconds of everything the product runs, its database too.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        let data_dir = self.product.data_dir().display().to_string();
        let roots = processes::all()?.into_iter().filter(|process| {
            process.arguments.first().is_some_and(|program| program.ends_with("postgres"))
                && process.arguments.iter().any(|argument| argument.contains(&data_dir))
        });
        let mut pids = BTreeMap::new();
        for process in self.product.processes()? {
            pids.insert(process.pid, ());
        }
        for root in roots {
            pids.extend(processes::family(root.pid)?.into_iter().map(|process| (process.pid, ())));
        }
        // One that ended meanwhile is counted in the one that waited for it.
        Ok(pids.into_keys().filter_map(|pid| processes::cpu_seconds(pid).ok()).sum())
    }

    /// Ends the product and removes its data.
    pub(crate) async fn close(self) -> Result<()> {
        let data_dir = self.product.data_dir().to_owned();
        self.product.stop().await?;
        fs::remove_dir_all(data_dir)?;
        Ok(())
    }
}

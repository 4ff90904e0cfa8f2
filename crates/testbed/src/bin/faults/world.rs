//! What is disturbed: the product with its workers, a server, a destination and a tree, and what must hold once it is over.

use anyhow::{Context, Result, bail, ensure};
use holdfast_testbed::client::ApiClient;
use holdfast_testbed::compare::{CompareOptions, compare};
use holdfast_testbed::product::{Product, ProductOptions};
use holdfast_testbed::sshd::{Login, Sshd};
use holdfast_testbed::steps;
use holdfast_testbed::tree::{TreeSpec, generate};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Leftovers are looked for every second here; a removal that a worker died of is tried again after three minutes.
const CLEAN_LIMIT: Duration = Duration::from_secs(240);
/// Short times, so that a killed worker is missed soon.
const SETTINGS: [(&str, &str); 7] = [
    ("HOLDFAST__EGRESS__ALLOW", "127.0.0.0/8"),
    ("HOLDFAST__HTTP__RATE_LIMIT_PER_MIN", "0"),
    ("HOLDFAST__HTTP__RUN_RATE_LIMIT_PER_MIN", "0"),
    ("HOLDFAST__WORKER__LEASE_SECS", "3"),
    ("HOLDFAST__WORKER__HEARTBEAT_SECS", "0.5"),
    ("HOLDFAST__WORKER__RETRY_DELAYS_SECS", "0,0,0"),
    ("HOLDFAST__WORKER__RECONCILE_INTERVAL_SECS", "1"),
];

/// What is running and where it writes.
pub(crate) struct World {
    pub(crate) product: Product,
    pub(crate) client: ApiClient,
    pub(crate) login: Login,
    pub(crate) server: i64,
    pub(crate) destination: i64,
    pub(crate) tree: PathBuf,
    pub(crate) folder: tempfile::TempDir,
    _sshd: Sshd,
}

impl World {
    /// With so many workers, and a tree like `spec`.
    pub(crate) async fn make(binary: &Path, workers: u16, spec: &TreeSpec) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("holdfast-faults-").tempdir_in("/var/tmp")?;
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711))?;
        let (sshd, login) = (Sshd::start()?, Login::create()?);
        let tree = login.home().join("tree");
        generate(&tree, spec)?;
        login.give(&tree)?;
        let product = Product::start(ProductOptions {
            binary: binary.canonicalize().with_context(|| format!("there is no {}", binary.display()))?,
            data_dir: folder.path().join("data"),
            workers,
            settings: SETTINGS.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec(),
        })
        .await?;
        let client = product.set_up().await?;
        let server = steps::register_server(&client, &sshd, sshd.port(), login.name()).await?;
        let destination = steps::create_destination(&client).await?;
        Ok(Self { product, client, login, server, destination, tree, folder, _sshd: sshd })
    }

    /// A task that backs the tree up and keeps so many backups; 0 = all.
    pub(crate) async fn task(&self, kept: u32) -> Result<i64> {
        let more = json!({"maximum_backups_to_keep": kept});
        steps::create_task(&self.client, self.server, self.destination, &self.tree, more).await
    }

    /// Three objects for each listed backup and no other file; nobody logged in; nothing new in the data folder.
    pub(crate) async fn nothing_is_left(&self) -> Result<()> {
        let limit = Instant::now() + CLEAN_LIMIT;
        loop {
            let listed = self.client.get("backups?per_page=1").await?["meta"]["total"].as_u64().context("no total")?;
            let objects = files(&self.product.data_dir().join("local"))?;
            let (processes, top) = (self.login.processes()?, names(self.product.data_dir())?);
            let parts = objects.iter().filter(|name| name.ends_with(".part")).count();
            let known: BTreeSet<String> =
                ["copies", "kek", "local", "login-key", "owner.lock", "postgres", "users.lock"]
                    .map(str::to_owned)
                    .into();
            let strange: Vec<&String> = top.difference(&known).collect();
            let open = self.open_in_the_database().await?;
            let clean = parts == 0 && open == 0 && processes.is_empty() && strange.is_empty();
            if objects.len() as u64 == 3 * listed && clean {
                return Ok(());
            }
            if Instant::now() > limit {
                bail!(
                    "left over: {} objects ({parts} unfinished) of {listed} backups; {open} leases and unfinished objects on record; processes {processes:?}; in the data folder {strange:?}",
                    objects.len()
                );
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Leases, and objects that are recorded as unfinished.
    pub(crate) async fn open_in_the_database(&self) -> Result<u64> {
        let query = "SELECT (SELECT count(*) FROM backup_run_objects WHERE state = 'writing')
                          + (SELECT count(*) FROM backup_runs WHERE lease_until IS NOT NULL)
                          + (SELECT count(*) FROM restores WHERE lease_until IS NOT NULL)";
        let mut psql = tokio::process::Command::new("psql");
        psql.arg("-h").arg(self.product.database_socket()?).args(["-U", "postgres", "-Atc", query, "holdfast"]);
        let output = psql.output().await.context("starting psql")?;
        ensure!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr).trim());
        String::from_utf8_lossy(&output.stdout).trim().parse().context("psql printed no number")
    }

    /// `backup` restores to what was read.
    pub(crate) async fn comes_back(&self, backup: &Value) -> Result<()> {
        let backup = backup["id"].as_i64().context("no backup")?;
        let to = self.login.home().join("restored");
        let request = json!({"target": {"remote_server_id": self.server, "path": to}, "layout": "keep_path"});
        steps::restore(&self.client, backup, &request, |_| {}).await?;
        let found = compare(&self.tree, &to.join(self.tree.strip_prefix("/")?), &CompareOptions { owners: false })?;
        ensure!(found.is_equal(), "what came back differs: {found}");
        std::fs::remove_dir_all(&to)?;
        Ok(())
    }
}

fn names(folder: &Path) -> Result<BTreeSet<String>> {
    std::fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

/// Names of stored objects below `folder`: every file but the root's own mark.
fn files(folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    // A folder that is pruned while it is walked has nothing any more.
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            found.extend(files(&entry.path())?);
        } else if name != "store.id" {
            found.push(name);
        }
    }
    Ok(found)
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or("-").to_owned()
}

pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

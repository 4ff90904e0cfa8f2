//! The product and one customer, ready to be used: `holdfast up` with its first user, an `sshd` with a log-in, the server
//! registered and a local destination made. For tests from outside: HTTP in, bytes at the destination out.

use crate::client::ApiClient;
use crate::product::{Product, ProductOptions};
use crate::sshd::Sshd;
use crate::steps;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// Between two readings of a run or restore.
const POLL: Duration = Duration::from_millis(50);
/// Longest run or restore of a test.
const JOB_LIMIT: Duration = Duration::from_secs(60);

/// Everything quick, and the customer on loopback allowed.
const SETTINGS: [(&str, &str); 7] = [
    ("HOLDFAST__EGRESS__ALLOW", "127.0.0.0/8"),
    ("HOLDFAST__HTTP__RATE_LIMIT_PER_MIN", "0"),
    ("HOLDFAST__WORKER__LEASE_SECS", "6"),
    ("HOLDFAST__WORKER__HEARTBEAT_SECS", "1"),
    ("HOLDFAST__WORKER__RETRY_DELAYS_SECS", "0.2"),
    ("HOLDFAST__WORKER__RECONCILE_INTERVAL_SECS", "0.5"),
    ("HOLDFAST__WORKER__DRAIN_TIMEOUT_SECS", "30"),
];

/// How a [`Site`] starts.
pub struct SiteOptions {
    /// The `holdfast` program.
    pub binary: PathBuf,
    /// Settings on top of the quick ones.
    pub settings: Vec<(String, String)>,
    /// Lines of `sshd_config`.
    pub sshd_settings: String,
}

impl SiteOptions {
    /// Nothing special.
    #[must_use]
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        Self { binary: binary.into(), settings: Vec::new(), sshd_settings: String::new() }
    }

    /// One more setting, `HOLDFAST__SECTION__KEY`.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl Into<String>) -> Self {
        self.settings.push((key.to_owned(), value.into()));
        self
    }
}

/// The product, set up, and its customer.
pub struct Site {
    /// With every ability.
    pub client: ApiClient,
    /// The customer's server.
    pub sshd: Sshd,
    /// Its id, reached as the user that runs the test.
    pub server: i64,
    /// A local destination.
    pub destination: i64,
    /// The product.
    pub product: Product,
    /// Of this site, for a test's own files too; it goes away with its handle.
    pub folder: TempDir,
}

impl Site {
    /// Starts everything.
    ///
    /// # Errors
    /// A step failed; the message says which.
    pub async fn start(options: SiteOptions) -> Result<Self> {
        let folder = passable_folder("hf-site-")?;
        let product = Product::start(product_options(&options, folder.path().join("data"))).await?;
        let client = product.set_up().await?;
        let sshd = Sshd::start_with(&options.sshd_settings)?;
        let server = steps::register_server(&client, &sshd, sshd.port(), &own_name()?).await?;
        let destination = steps::create_destination(&client).await?;
        Ok(Self { client, sshd, server, destination, product, folder })
    }

    /// The same client at the operator's listener.
    #[must_use]
    pub fn operator(&self) -> ApiClient {
        self.client.at(self.product.operator_url())
    }

    /// The folder's path.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where local destinations lie.
    #[must_use]
    pub fn local_root(&self) -> PathBuf {
        self.product.data_dir().join("local")
    }

    /// Registers the site's server once more, reached as `user` with the team's key; its id.
    ///
    /// # Errors
    /// The API refused.
    pub async fn server_for(&self, user: &str) -> Result<i64> {
        let keys = self.client.get("ssh-key").await?;
        self.sshd.authorize(user, keys["authorized_keys_line"].as_str().context("no key line")?)?;
        let server = json!({
            "label": user, "ip_address": "127.0.0.1", "port": self.sshd.port(), "username": user,
            "host_key": self.sshd.host_key()?,
        });
        self.client.post("remote-servers", &server).await?["data"]["id"].as_i64().context("a server without an id")
    }

    /// A task of the site's server and destination for `paths`; `more` is added to the request.
    ///
    /// # Errors
    /// The API refused.
    pub async fn task(&self, paths: &[&Path], more: Value) -> Result<i64> {
        let mut task = json!({
            "label": "files", "type": "files", "frequency": "manual", "maximum_backups_to_keep": 0,
            "remote_server_id": self.server, "backup_destination_id": self.destination, "source": {"paths": paths},
        });
        merge(&mut task, more);
        self.client.post("backup-tasks", &task).await?["data"]["id"].as_i64().context("a task without an id")
    }

    /// Runs `task` to its good end; the backup.
    ///
    /// # Errors
    /// It ended otherwise, warnings included.
    pub async fn back_up(&self, task: i64) -> Result<Value> {
        let run = steps::back_up(&self.client, task, POLL, |_| ()).await?;
        steps::backup_of(&self.client, &run).await
    }

    /// Runs `task` to its end, whatever it is; the run.
    ///
    /// # Errors
    /// It did not end.
    pub async fn run(&self, task: i64) -> Result<Value> {
        let id = steps::start_run(&self.client, task).await?;
        self.ended(&format!("backup-runs/{id}")).await
    }

    /// The final reading of a run or restore.
    ///
    /// # Errors
    /// It did not end.
    pub async fn ended(&self, path: &str) -> Result<Value> {
        self.client.finished(path, POLL, JOB_LIMIT, |_| ()).await
    }

    /// Restores `backup` to `to` on the site's server; `more` is added to the request. The restore in its final state.
    ///
    /// # Errors
    /// The API refused, or it did not end.
    pub async fn restore(&self, backup: &Value, to: &Path, more: Value) -> Result<Value> {
        let id = backup["id"].as_i64().context("a backup without an id")?;
        let is_root = rustix::process::geteuid().is_root();
        let mut request = json!({"target": {"remote_server_id": self.server, "path": to}, "restore_owners": is_root});
        merge(&mut request, more);
        let started = self.client.post(&format!("backups/{id}/restore"), &request).await?;
        let restore = started["data"]["id"].as_i64().context("the answer names no restore")?;
        self.ended(&format!("restores/{restore}")).await
    }

    /// As [`Self::restore`], and it succeeded without a warning.
    ///
    /// # Errors
    /// As there, or it ended otherwise.
    pub async fn restore_well(&self, backup: &Value, to: &Path, more: Value) -> Result<()> {
        let done = self.restore(backup, to, more).await?;
        ensure!(done["status"] == "succeeded", "the restore ended so: {done:#}");
        Ok(())
    }

    /// Downloads the stored object of `backup` to the new file `to`.
    ///
    /// # Errors
    /// The API refused, or the download broke off.
    pub async fn download(&self, backup: &Value, to: &Path) -> Result<u64> {
        let id = backup["id"].as_i64().context("a backup without an id")?;
        self.client.download(&format!("backups/{id}/download?form=stored"), to).await
    }
}

/// The quick settings, the test's own, and where the data goes.
#[must_use]
pub fn product_options(options: &SiteOptions, data_dir: PathBuf) -> ProductOptions {
    let quick = SETTINGS.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let settings = quick.chain(options.settings.iter().cloned()).collect();
    ProductOptions { binary: options.binary.clone(), data_dir, workers: 1, settings }
}

/// A throw-away folder that every user can pass through: the database runs as a user of its own.
///
/// # Errors
/// It cannot be made.
pub fn passable_folder(prefix: &str) -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix(prefix).tempdir()?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711))?;
    Ok(folder)
}

/// A new folder below `parent` that everybody may use.
///
/// # Errors
/// It cannot be made.
pub fn open_folder(parent: &Path, name: &str) -> Result<PathBuf> {
    let path = parent.join(name);
    fs::create_dir(&path).with_context(|| path.display().to_string())?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777))?;
    Ok(path)
}

/// The path below `to` that `path` has with the layout `keep_path`.
#[must_use]
pub fn below(to: &Path, path: &Path) -> PathBuf {
    to.join(path.strip_prefix("/").unwrap_or(path))
}

/// The user that runs the test.
///
/// # Errors
/// `id` failed.
pub fn own_name() -> Result<String> {
    let output = std::process::Command::new("id").arg("-un").output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn merge(into: &mut Value, more: Value) {
    if let (Some(into), Value::Object(more)) = (into.as_object_mut(), more) {
        for (key, value) in more {
            match (into.get_mut(&key), value) {
                (Some(there @ Value::Object(_)), value @ Value::Object(_)) => merge(there, value),
                (_, value) => drop(into.insert(key, value)),
            }
        }
    }
}

//! The walk itself, as a client takes it: set up, register, back up, restore, download, open by hand, compare.

use super::report::{Row, table};
use super::screen::Screen;
use super::workplace::Workplace;
use super::{DemoArgs, by_hand};
use anyhow::{Context, Result, bail, ensure};
use holdfast_testbed::client::ApiClient;
use holdfast_testbed::compare::{CompareOptions, Comparison, compare};
use holdfast_testbed::product::{Product, ProductOptions};
use holdfast_testbed::sshd::{Login, Sshd};
use holdfast_testbed::steps;
use holdfast_testbed::tree::{TreeSpec, TreeSummary, generate};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Always the same tree, so that two demos can be compared.
const SEED: u64 = 20_261_120;
const POLL: Duration = Duration::from_millis(100);

/// What the demo started.
pub(super) struct Running {
    pub(super) product: Product,
    pub(super) client: ApiClient,
    pub(super) sshd: Sshd,
    /// Whom the product logs in as.
    pub(super) user: String,
}

impl Running {
    /// Ends the product in order, then the customer.
    pub(super) async fn stop(self) -> Result<()> {
        self.product.stop().await
    }
}

/// The steps so far, for those that follow.
struct Demo<'a> {
    place: &'a Workplace,
    screen: &'a Screen,
    client: &'a ApiClient,
    server: i64,
    is_root: bool,
    rows: Vec<Row>,
}

/// Does everything; what it started is still running when it returns.
///
/// # Errors
/// The first step that failed, or what differs between the tree and what came back.
pub(super) async fn walk(args: &DemoArgs, place: &Workplace, screen: &Screen) -> Result<Running> {
    let is_root = rustix::process::geteuid().is_root();
    make_tree(args, place, screen, is_root).await?;
    let running = start(place, screen, is_root).await?;
    screen.step(
        "Registering the customer's server: key in authorized_keys, host key compared and accepted, log-in checked",
    );
    let server = steps::register_server(&running.client, &running.sshd, running.sshd.port(), &running.user).await?;
    let mut demo = Demo { place, screen, client: &running.client, server, is_root, rows: Vec::new() };
    let backup = demo.back_up().await?;
    demo.restore_all(&backup).await?;
    demo.restore_some(&backup).await?;
    demo.open_by_hand(&backup, &running.product).await?;
    screen.block(&table(&demo.rows));
    Ok(running)
}

async fn make_tree(args: &DemoArgs, place: &Workplace, screen: &Screen, is_root: bool) -> Result<TreeSummary> {
    let spec = TreeSpec {
        seed: SEED,
        files: usize::try_from(args.files)?,
        total_bytes: u64::from(args.size_mib) << 20,
        owners: is_root,
        fifo: true,
    };
    screen.step(&format!(
        "Making the customer's files: {} files, {} MiB, in {}",
        spec.files,
        args.size_mib,
        place.tree().display()
    ));
    if !is_root {
        screen.done("(not root: all files belong to one user, and owners are not restored)");
    }
    let (tree, started) = (place.tree(), Instant::now());
    let made = tokio::task::spawn_blocking(move || generate(&tree, &spec)).await??;
    screen.done(&format!(
        "{} files, {} folders, {} symbolic and {} hard links, {} with attributes, in {:.1} s",
        made.files,
        made.folders,
        made.symlinks,
        made.hard_links,
        made.with_attributes,
        started.elapsed().as_secs_f64()
    ));
    Ok(made)
}

async fn start(place: &Workplace, screen: &Screen, is_root: bool) -> Result<Running> {
    screen.step("Starting the customer's SSH server, and the product: a private PostgreSQL, one api and two workers");
    let sshd = Sshd::start()?;
    // Only root may read every file and set owners.
    let user = if is_root { "root".to_owned() } else { Login::create()?.name().to_owned() };
    let options = ProductOptions {
        binary: std::env::current_exe()?,
        data_dir: place.data_dir(),
        workers: 2,
        settings: vec![
            ("HOLDFAST__EGRESS__ALLOW".to_owned(), "127.0.0.0/8".to_owned()),
            ("HOLDFAST__HTTP__RATE_LIMIT_PER_MIN".to_owned(), "0".to_owned()),
        ],
    };
    let product = Product::start(options).await?;
    let pids = |role: &str| -> Result<String> {
        Ok(product.of_role(role)?.iter().map(|process| process.pid.to_string()).collect::<Vec<_>>().join(" and "))
    };
    screen.done(&format!("api: process {}; workers: processes {}; {}", pids("api")?, pids("worker")?, product.url()));
    screen.done("The customer is on this machine, so the demo's own configuration allows 127.0.0.0/8 (egress.allow);");
    screen.done("by default no worker connects to loopback.");
    screen.step("Setting up: the first user through the one-time link, and an API token");
    let client = product.set_up().await?;
    Ok(Running { product, client, sshd, user })
}

impl Demo<'_> {
    async fn back_up(&mut self) -> Result<Value> {
        self.screen.step("Making a local destination and a task with managed encryption");
        let destination = steps::create_destination(self.client).await?;
        let more = json!({"encryption": {"mode": "managed"}});
        let task = steps::create_task(self.client, self.server, destination, &self.place.tree(), more).await?;
        self.screen.step("Backing up over SSH, in one pass, encrypted, to the destination");
        let started = Instant::now();
        let run = steps::back_up(self.client, task, POLL, |run| self.screen.progress(run)).await?;
        let seconds = started.elapsed().as_secs_f64();
        let backup = steps::backup_of(self.client, &run).await?;
        let progress = &run["progress"];
        let level = backup["copies"][0]["verified_level"].as_u64();
        ensure!(level >= Some(1), "the stored copy was not verified: {}", backup["copies"]);
        self.rows.push(Row {
            what: "backup",
            read_bytes: progress["original_size"].as_u64(),
            stored_bytes: progress["stored_size"].as_u64(),
            seconds,
            transfer_seconds: run["transfer_ms"].as_u64().map(|ms| ms as f64 / 1000.0),
            verified: format!("yes (V{})", level.unwrap_or_default()),
            worker: worker_of(&run),
            ..Row::default()
        });
        Ok(backup)
    }

    async fn restore_all(&mut self, backup: &Value) -> Result<()> {
        self.screen.step("Restoring everything to another path through SSH");
        let to = self.place.path().join("customer/restored");
        let (done, seconds) = self.restore(backup, &to, json!([])).await?;
        let equal = self.compare(&self.place.tree(), &below(&to, &self.place.tree())?).await?;
        self.rows.push(Row { what: "restore, everything", seconds, equal, worker: worker_of(&done), ..Row::default() });
        // Made room for what is unpacked by hand; with `--keep` there are two copies enough to look at.
        tokio::task::spawn_blocking(move || std::fs::remove_dir_all(to)).await?.context("removing the restored files")
    }

    async fn restore_some(&mut self, backup: &Value) -> Result<()> {
        self.screen
            .step("Restoring one folder of it: names with quotes, newlines, options, shell syntax, other encodings");
        let (wanted, to) = (self.place.tree().join("odd/folders"), self.place.path().join("customer/restored-odd"));
        let (done, seconds) = self.restore(backup, &to, json!([wanted])).await?;
        let equal = self.compare(&wanted, &below(&to, &wanted)?).await?;
        self.rows.push(Row { what: "restore, one folder", seconds, equal, worker: worker_of(&done), ..Row::default() });
        Ok(())
    }

    async fn open_by_hand(&mut self, backup: &Value, product: &Product) -> Result<()> {
        self.screen
            .step("Downloading what is stored, and opening it with age, zstd and tar and the recovery kit's key alone");
        let (id, object) =
            (backup["id"].as_i64().context("a backup without an id")?, self.place.path().join("backup.tar.zst.age"));
        let started = Instant::now();
        self.client.download(&format!("backups/{id}/download"), &object).await?;
        let (wanted, got) = (&backup["streams"][0]["stored_sha256"], by_hand::sha256(&object).await?);
        ensure!(wanted.as_str() == Some(&got), "the download's SHA-256 is {got}, and the backup says {wanted}");
        // The demo's team is the first one of its new database.
        let kit = product.admin(&["recovery-kit", "--team", "1"]).await?;
        let opened = self.place.path().join("opened");
        by_hand::open(&kit, &object, &opened).await?;
        let seconds = started.elapsed().as_secs_f64();
        let equal = self.compare(&self.place.tree(), &below(&opened, &self.place.tree())?).await?;
        self.rows.push(Row { what: "opened by hand", seconds, equal, worker: "none".to_owned(), ..Row::default() });
        Ok(())
    }

    async fn restore(&self, backup: &Value, to: &Path, paths: Value) -> Result<(Value, f64)> {
        let id = backup["id"].as_i64().context("a backup without an id")?;
        let request = json!({
            "target": {"remote_server_id": self.server, "path": to}, "paths": paths, "layout": "keep_path",
            "existing": "refuse", "restore_owners": self.is_root,
        });
        let started = Instant::now();
        let done = steps::restore(self.client, id, &request, |restore| self.screen.progress(restore)).await?;
        Ok((done, started.elapsed().as_secs_f64()))
    }

    /// Fails on any difference; otherwise what the table says.
    async fn compare(&self, expected: &Path, actual: &Path) -> Result<String> {
        self.screen.step("Comparing every entry: content, kind, mode, owner, time, links, attributes");
        let options = CompareOptions { owners: self.is_root };
        let (expected, actual) = (expected.to_owned(), actual.to_owned());
        let found: Comparison = tokio::task::spawn_blocking(move || compare(&expected, &actual, &options)).await??;
        if !found.is_equal() {
            bail!("what came back is not what was there: {found}");
        }
        Ok(format!("yes ({} entries)", found.entries))
    }
}

/// Where `path` lies below `root` with the layout `keep_path`.
fn below(root: &Path, path: &Path) -> Result<PathBuf> {
    Ok(root.join(path.strip_prefix("/").context("the path is not absolute")?))
}

fn worker_of(job: &Value) -> String {
    job["worker"].as_str().unwrap_or("?").to_owned()
}

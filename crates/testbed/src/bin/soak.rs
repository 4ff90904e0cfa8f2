//! `./dev soak`: kills a worker with -9 in the middle of a run, again and again, at a moment chosen at random over the
//! whole length of a run, and checks after each that the run ended and that what it calls a success holds what an
//! undisturbed run reads and can be read; every [`RESTORE_EVERY`]th and the newest are restored and compared. In the end nothing may
//! be left: on the server, in the data folder, in the database or at the destination. Needs root, for a user of its own.

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use holdfast_testbed::client::ApiClient;
use holdfast_testbed::compare::{CompareOptions, compare};
use holdfast_testbed::product::{Product, ProductOptions};
use holdfast_testbed::sshd::{Login, Sshd};
use holdfast_testbed::steps;
use holdfast_testbed::tree::content::Numbers;
use holdfast_testbed::tree::{TreeSpec, generate};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A supervisor waits up to 30 s before it starts a worker again that keeps dying: so many that some always live.
const WORKERS: u16 = 8;
/// Pruning goes on beside the kills, and 200 backups would fill the disk.
const KEEP: u32 = 10;
const POLL: Duration = Duration::from_millis(20);
/// A run whose worker died is taken up after the lease; three attempts may be needed.
const RUN_LIMIT: Duration = Duration::from_secs(120);
/// A restore takes as long as a run; all of them would double the time.
const RESTORE_EVERY: u32 = 10;
/// Leftovers are looked for every second here.
const CLEAN_LIMIT: Duration = Duration::from_secs(60);
/// Short times, so that a killed worker is missed soon.
const SETTINGS: [(&str, &str); 6] = [
    ("HOLDFAST__EGRESS__ALLOW", "127.0.0.0/8"),
    ("HOLDFAST__HTTP__RATE_LIMIT_PER_MIN", "0"),
    ("HOLDFAST__WORKER__LEASE_SECS", "3"),
    ("HOLDFAST__WORKER__HEARTBEAT_SECS", "0.5"),
    ("HOLDFAST__WORKER__RETRY_DELAYS_SECS", "0,0,0"),
    ("HOLDFAST__WORKER__RECONCILE_INTERVAL_SECS", "1"),
];

#[derive(Parser)]
struct Arguments {
    /// The build to be tried.
    #[arg(long, default_value = "target/release/holdfast")]
    binary: PathBuf,
    /// How often a worker is killed.
    #[arg(long, default_value_t = 200)]
    times: u32,
    /// Decides the moments.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What is running and where it writes.
struct World {
    product: Product,
    client: ApiClient,
    login: Login,
    server: i64,
    task: i64,
    tree: PathBuf,
    folder: tempfile::TempDir,
    _sshd: Sshd,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ensure!(rustix::process::geteuid().is_root(), "the soak needs root: it makes a user to log in as");
    tokio::select! {
        soaked = soak(&arguments) => soaked,
        // Returning ends the product and removes user and folder; the signal alone would leave them.
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
    }
}

async fn soak(arguments: &Arguments) -> Result<()> {
    let world = World::make(&arguments.binary).await?;
    disturb(&world, arguments).await.with_context(|| world.product.last_words())?;
    world.product.stop().await
}

async fn disturb(world: &World, arguments: &Arguments) -> Result<()> {
    let (whole, good) = world.undisturbed().await?;
    say(&format!(
        "an undisturbed run takes {whole:.2?}; killing a worker {} times, seed {}",
        arguments.times, arguments.seed
    ));
    let (mut numbers, mut ended, mut steps) = (Numbers::new(arguments.seed), BTreeMap::new(), BTreeMap::new());
    for time in 1..=arguments.times {
        let moment = whole.mul_f64(numbers.below(1100) as f64 / 1000.0);
        let round = || format!("round {time}, killed after {moment:.2?}");
        let (run, step) = world.disturbed(moment).await.with_context(round)?;
        world.is_no_false_success(&run, &good, time % RESTORE_EVERY == 0).await.with_context(round)?;
        let status = text(&run["status"]);
        *ended.entry(status).or_insert(0_u32) += 1;
        *steps.entry(step).or_insert(0_u32) += 1;
        if time % 20 == 0 {
            say(&format!("{time}: ended {ended:?}, killed in {steps:?}"));
        }
    }
    world.nothing_is_left().await?;
    world.newest_comes_back().await?;
    say(&format!(
        "{} kills: every run ended {ended:?}; killed in {steps:?}; no false success, nothing left",
        arguments.times
    ));
    Ok(())
}

impl World {
    async fn make(binary: &Path) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("holdfast-soak-").tempdir_in("/var/tmp")?;
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711))?;
        let (sshd, login) = (Sshd::start()?, Login::create()?);
        let tree = login.home().join("tree");
        // Long enough to be hit in the middle, small enough for many rounds.
        generate(&tree, &TreeSpec { files: 2_000, total_bytes: 200 << 20, ..TreeSpec::small(5, false) })?;
        login.give(&tree)?;
        let product = Product::start(ProductOptions {
            binary: binary.canonicalize().with_context(|| format!("there is no {}", binary.display()))?,
            data_dir: folder.path().join("data"),
            workers: WORKERS,
            settings: SETTINGS.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec(),
        })
        .await?;
        let client = product.set_up().await?;
        let server = steps::register_server(&client, &sshd, sshd.port(), login.name()).await?;
        let destination = steps::create_destination(&client).await?;
        let task =
            steps::create_task(&client, server, destination, &tree, json!({"maximum_backups_to_keep": KEEP})).await?;
        Ok(Self { product, client, login, server, task, tree, folder, _sshd: sshd })
    }

    /// How long a run takes, and what its backup holds; it came back equal.
    async fn undisturbed(&self) -> Result<(Duration, String)> {
        steps::back_up(&self.client, self.task, POLL, |_| {}).await?;
        let started = Instant::now();
        let run = steps::back_up(&self.client, self.task, POLL, |_| {}).await?;
        let whole = started.elapsed();
        let backup = steps::backup_of(&self.client, &run).await?;
        self.comes_back(&backup).await?;
        Ok((whole, holds(&backup)?.to_owned()))
    }

    /// One run whose worker is killed `moment` after its start: its end, and in which step it was killed.
    async fn disturbed(&self, moment: Duration) -> Result<(Value, String)> {
        let run = steps::start_run(&self.client, self.task).await?;
        let path = format!("backup-runs/{run}");
        tokio::time::sleep(moment).await;
        let hit = self.client.get(&path).await?["data"].take();
        let step = format!("{}/{}", text(&hit["status"]), text(&hit["step"]));
        self.kill_the_worker_of(&hit)?;
        let ended = self.client.finished(&path, POLL, RUN_LIMIT, |_| {}).await?;
        Ok((ended, step))
    }

    /// A success holds what the undisturbed run's backup holds; anything else failed with a reason and has no backup.
    async fn is_no_false_success(&self, run: &Value, good: &str, restored: bool) -> Result<()> {
        if run["status"] != "succeeded" {
            let said = run["status"] == "failed" && run["error_code"].is_string() && run["backup_id"].is_null();
            ensure!(said, "it ended {run}");
            return Ok(());
        }
        let backup = steps::backup_of(&self.client, run).await?;
        ensure!(holds(&backup)? == good, "a run that succeeded holds {} instead of {good}", holds(&backup)?);
        self.is_readable(&backup).await?;
        if restored {
            self.comes_back(&backup).await?;
        }
        Ok(())
    }

    /// The worker that has the run; while nobody has it, the first.
    fn kill_the_worker_of(&self, run: &Value) -> Result<()> {
        let name = run["worker"].as_str().unwrap_or_default();
        let workers = self.product.of_role("worker")?;
        let has_it = |pid: u32| name.split(|c: char| !c.is_ascii_digit()).any(|number| number.parse() == Ok(pid));
        let worker = workers.iter().find(|worker| has_it(worker.pid)).or(workers.first()).context("no worker lives")?;
        let pid = i32::try_from(worker.pid).ok().and_then(Pid::from_raw).context("a process id")?;
        // One that has just ended by itself is as dead.
        let _ = kill_process(pid, Signal::KILL);
        Ok(())
    }

    /// What it stored has the size and the hash that the API says.
    async fn is_readable(&self, backup: &Value) -> Result<()> {
        let object = self.folder.path().join("download");
        self.client.download(&format!("backups/{}/download", backup["id"]), &object).await?;
        let output = tokio::process::Command::new("sha256sum").arg(&object).output().await?;
        std::fs::remove_file(&object)?;
        let sum = String::from_utf8_lossy(&output.stdout).into_owned();
        let wanted = backup["streams"][0]["stored_sha256"].as_str().context("a stream without a hash")?;
        ensure!(sum.starts_with(wanted), "a run that succeeded stored {sum}, and says {wanted}");
        Ok(())
    }

    /// Three objects for each listed backup and no other file; nobody logged in; nothing new in the data folder.
    async fn nothing_is_left(&self) -> Result<()> {
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
    async fn open_in_the_database(&self) -> Result<u64> {
        let query = "SELECT (SELECT count(*) FROM backup_run_objects WHERE state = 'writing')
                          + (SELECT count(*) FROM backup_runs WHERE lease_until IS NOT NULL)
                          + (SELECT count(*) FROM restores WHERE lease_until IS NOT NULL)";
        let mut psql = tokio::process::Command::new("psql");
        psql.arg("-h").arg(self.product.database_socket()?).args(["-U", "postgres", "-Atc", query, "holdfast"]);
        let output = psql.output().await.context("starting psql")?;
        ensure!(output.status.success(), "psql: {}", String::from_utf8_lossy(&output.stderr).trim());
        String::from_utf8_lossy(&output.stdout).trim().parse().context("psql printed no number")
    }

    async fn newest_comes_back(&self) -> Result<()> {
        let listed = self.client.get("backups?sort=-created_at&per_page=1").await?;
        self.comes_back(&listed["data"][0]).await
    }

    /// `backup` restores to what was read.
    async fn comes_back(&self, backup: &Value) -> Result<()> {
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

/// The SHA-256 of what tar sent. The tree stays as it is and tar is told to leave access times out, so it stays too.
fn holds(backup: &Value) -> Result<&str> {
    backup["streams"][0]["original_sha256"].as_str().context("a stream without a hash")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("-").to_owned()
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

fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

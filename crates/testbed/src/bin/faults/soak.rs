//! `./dev faults soak`: kills a worker with -9 in the middle of a run, again and again, at a moment chosen at random over the
//! whole length of a run, and checks after each that the run ended and that what it calls a success holds what an
//! undisturbed run reads and can be read; every [`RESTORE_EVERY`]th and the newest are restored and compared. In the end nothing may
//! be left: on the server, in the data folder, in the database or at the destination. Needs root, for a user of its own.

use crate::Arguments;
use crate::world::{World, say, text};
use anyhow::{Context, Result, ensure};
use holdfast_testbed::steps;
use holdfast_testbed::tree::TreeSpec;
use holdfast_testbed::tree::content::Numbers;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::collections::BTreeMap;
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
/// Where nothing is said.
const TIMES: u32 = 200;

/// A world and its one task.
struct Soak {
    world: World,
    task: i64,
}

pub(crate) async fn soak(arguments: &Arguments) -> Result<()> {
    // Long enough to be hit in the middle, small enough for many rounds.
    let tree = TreeSpec { files: 2_000, total_bytes: 200 << 20, ..TreeSpec::small(5, false) };
    let world = World::make(&arguments.binary, WORKERS, &tree).await?;
    let soak = Soak { task: world.task(KEEP).await?, world };
    disturb(&soak, arguments).await.with_context(|| soak.world.product.last_words())?;
    soak.world.product.stop().await
}

async fn disturb(soak: &Soak, arguments: &Arguments) -> Result<()> {
    let (whole, good) = soak.undisturbed().await?;
    let times = arguments.times.unwrap_or(TIMES);
    say(&format!("an undisturbed run takes {whole:.2?}; killing a worker {times} times, seed {}", arguments.seed));
    let (mut numbers, mut ended, mut steps) = (Numbers::new(arguments.seed), BTreeMap::new(), BTreeMap::new());
    for time in 1..=times {
        let moment = whole.mul_f64(numbers.below(1100) as f64 / 1000.0);
        let round = || format!("round {time}, killed after {moment:.2?}");
        let (run, step) = soak.disturbed(moment).await.with_context(round)?;
        soak.is_no_false_success(&run, &good, time % RESTORE_EVERY == 0).await.with_context(round)?;
        let status = text(&run["status"]);
        *ended.entry(status).or_insert(0_u32) += 1;
        *steps.entry(step).or_insert(0_u32) += 1;
        if time % 20 == 0 {
            say(&format!("{time}: ended {ended:?}, killed in {steps:?}"));
        }
    }
    soak.world.nothing_is_left().await?;
    soak.newest_comes_back().await?;
    say(&format!("{times} kills: every run ended {ended:?}; killed in {steps:?}; no false success, nothing left"));
    Ok(())
}

impl Soak {
    /// How long a run takes, and what its backup holds; it came back equal.
    async fn undisturbed(&self) -> Result<(Duration, String)> {
        steps::back_up(&self.world.client, self.task, POLL, |_| {}).await?;
        let started = Instant::now();
        let run = steps::back_up(&self.world.client, self.task, POLL, |_| {}).await?;
        let whole = started.elapsed();
        let backup = steps::backup_of(&self.world.client, &run).await?;
        self.world.comes_back(&backup).await?;
        Ok((whole, holds(&backup)?.to_owned()))
    }

    /// One run whose worker is killed `moment` after its start: its end, and in which step it was killed.
    async fn disturbed(&self, moment: Duration) -> Result<(Value, String)> {
        let run = steps::start_run(&self.world.client, self.task).await?;
        let path = format!("backup-runs/{run}");
        tokio::time::sleep(moment).await;
        let hit = self.world.client.get(&path).await?["data"].take();
        let step = format!("{}/{}", text(&hit["status"]), text(&hit["step"]));
        self.kill_the_worker_of(&hit)?;
        let ended = self.world.client.finished(&path, POLL, RUN_LIMIT, |_| {}).await?;
        Ok((ended, step))
    }

    /// A success holds what the undisturbed run's backup holds; anything else failed with a reason and has no backup.
    async fn is_no_false_success(&self, run: &Value, good: &str, restored: bool) -> Result<()> {
        if run["status"] != "succeeded" {
            let said = run["status"] == "failed" && run["error_code"].is_string() && run["backup_id"].is_null();
            ensure!(said, "it ended {run}");
            return Ok(());
        }
        let backup = steps::backup_of(&self.world.client, run).await?;
        ensure!(holds(&backup)? == good, "a run that succeeded holds {} instead of {good}", holds(&backup)?);
        self.is_readable(&backup).await?;
        if restored {
            self.world.comes_back(&backup).await?;
        }
        Ok(())
    }

    /// The worker that has the run; while nobody has it, the first.
    fn kill_the_worker_of(&self, run: &Value) -> Result<()> {
        let name = run["worker"].as_str().unwrap_or_default();
        let workers = self.world.product.of_role("worker")?;
        let has_it = |pid: u32| name.split(|c: char| !c.is_ascii_digit()).any(|number| number.parse() == Ok(pid));
        let worker = workers.iter().find(|worker| has_it(worker.pid)).or(workers.first()).context("no worker lives")?;
        let pid = i32::try_from(worker.pid).ok().and_then(Pid::from_raw).context("a process id")?;
        // One that has just ended by itself is as dead.
        let _ = kill_process(pid, Signal::KILL);
        Ok(())
    }

    /// What it stored has the size and the hash that the API says.
    async fn is_readable(&self, backup: &Value) -> Result<()> {
        let object = self.world.folder.path().join("download");
        self.world.client.download(&format!("backups/{}/download", backup["id"]), &object).await?;
        let output = tokio::process::Command::new("sha256sum").arg(&object).output().await?;
        std::fs::remove_file(&object)?;
        let sum = String::from_utf8_lossy(&output.stdout).into_owned();
        let wanted = backup["streams"][0]["stored_sha256"].as_str().context("a stream without a hash")?;
        ensure!(sum.starts_with(wanted), "a run that succeeded stored {sum}, and says {wanted}");
        Ok(())
    }

    async fn newest_comes_back(&self) -> Result<()> {
        let listed = self.world.client.get("backups?sort=-created_at&per_page=1").await?;
        self.world.comes_back(&listed["data"][0]).await
    }
}

/// The SHA-256 of what tar sent. The tree stays as it is and tar is told to leave access times out, so it stays too.
fn holds(backup: &Value) -> Result<&str> {
    backup["streams"][0]["original_sha256"].as_str().context("a stream without a hash")
}

//! The tree over SSH to a local disk, encrypted, against the shell pipeline. The sides take turns, so that whatever
//! the machine does meanwhile falls on all of them.

use crate::figures::{MIB, Measured, listed, median};
use crate::session::{Bench, Session};
use crate::shell::Shell;
use anyhow::{Context, Result};
use holdfast_testbed::processes::written_bytes;
use holdfast_testbed::steps;
use holdfast_testbed::tree::TreeSpec;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

const POLL: Duration = Duration::from_millis(50);
const SEED: u64 = 1;

/// One run of the product.
struct Run {
    transfer: f64,
    duration: f64,
    cpu_seconds: f64,
    /// Bytes the worker wrote to any file system, less what it stored.
    beside_bytes: i64,
    original_bytes: u64,
    stored_bytes: u64,
    nfiles: u64,
}

pub(crate) async fn measure(bench: &Bench) -> Result<String> {
    let tree = bench.tree("tree", TreeSpec::large(SEED, true)).await?;
    let shell = Shell::prepare(bench).await?;
    let session = Session::open(bench, "throughput", async |port| Ok(port)).await?;
    let task = session.task(&tree, json!({"encryption": {"mode": "managed"}})).await?;
    let (mut runs, mut one, mut all) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=bench.rounds {
        crate::eprint_line(&format!("   round {round} of {} (0 is not counted)", bench.rounds));
        let (run, t1, t0) =
            (back_up(&session, task).await?, in_quiet(&shell, &tree, 1).await?, in_quiet(&shell, &tree, 0).await?);
        if round > 0 {
            runs.push(run);
            one.push(t1);
            all.push(t0);
        }
    }
    session.close().await?;
    let command = shell.pipeline(shell.sshd.port(), &Shell::tar(&tree), 0, &shell.disk());
    Ok(text(&runs, &one, &all, &command))
}

async fn back_up(session: &Session, task: i64) -> Result<Run> {
    sync().await?;
    let worker = session.worker_pid()?;
    let (cpu, written) = (session.cpu_seconds()?, written_bytes(worker)?);
    let run = steps::back_up(&session.client, task, POLL, |_| {}).await?;
    let (cpu_seconds, written) = (session.cpu_seconds()? - cpu, written_bytes(worker)? - written);
    let seconds = |field: &str| run[field].as_f64().map(|ms| ms / 1000.0).with_context(|| format!("no {field}"));
    let progress = |field: &str| run["progress"][field].as_u64().with_context(|| format!("no {field}"));
    let stored_bytes = progress("stored_size")?;
    Ok(Run {
        transfer: seconds("transfer_ms")?,
        duration: seconds("duration_ms")?,
        cpu_seconds,
        beside_bytes: i64::try_from(written)? - i64::try_from(stored_bytes)?,
        original_bytes: progress("original_size")?,
        stored_bytes,
        nfiles: progress("nfiles")?,
    })
}

async fn in_quiet(shell: &Shell, tree: &Path, threads: u8) -> Result<Measured> {
    sync().await?;
    shell.back_up(shell.sshd.port(), &Shell::tar(tree), threads).await
}

/// Nothing of the round before is still on its way to the disk.
pub(crate) async fn sync() -> Result<()> {
    tokio::process::Command::new("sync").status().await?;
    Ok(())
}

fn text(runs: &[Run], one: &[Measured], all: &[Measured], command: &str) -> String {
    let (original, stored) = runs.first().map_or((0, 0), |run| (run.original_bytes, run.stored_bytes));
    let mib = original as f64 / MIB;
    let wall = |measured: &[Measured]| median(measured.iter().map(|m| m.seconds));
    let per_gib = |cpu: f64| cpu / (mib / 1024.0);
    let cpu = |measured: &[Measured]| per_gib(median(measured.iter().map(|m| m.cpu_seconds)));
    let transfer = median(runs.iter().map(|run| run.transfer));
    let duration = median(runs.iter().map(|run| run.duration));
    let faster = wall(one).min(wall(all));
    let beside = median(runs.iter().map(|run| run.beside_bytes as f64));
    format!(
        "## A tree over SSH to a local disk\n\n\
         {nfiles} entries, {mib:.0} MiB as tar, {stored:.0} MiB stored, managed key. Medians of {rounds} rounds; in each \
         round the three sides ran one after the other. The pipelines' seconds hold their log-in and end with fsync. \
         Holdfast's transfer is from the start of `tar` until the destination's file is synced to its disk; log-in and \
         reading back are in the column beside it.\n\n\
         | | transfer, s | MiB/s | the rest of the run, s | CPU s per GiB | bytes on other disks |\n|---|---|---|---|---|---|\n\
         | **holdfast** | {transfer:.2} | **{speed:.0}** | {verify:.2} | {our_cpu:.2} | {beside:.0} KiB |\n\
         | shell, `zstd -3 -T1` | {t1:.2} | {s1:.0} | none | {c1:.2} | 0 |\n\
         | shell, `zstd -3 -T0` | {t0:.2} | {s0:.0} | none | {c0:.2} | 0 |\n\n\
         Holdfast's transfer runs at **{ratio:.2} ×** the faster pipeline (goal: ≥ 1.0), the whole run with \
         log-in and verification at **{whole:.2} ×**. The rest of the run is `duration_ms` less `transfer_ms`: log-in, \
         reading back, the manifest, and the waits around them. CPU is ours alone \
         (everything Holdfast runs with its database; everything on the client's side of `ssh`), not the server's. \
         Bytes on other disks: what the worker wrote to any file system (`write_bytes`) less the stored object; it \
         holds the index and the manifest, which lie beside the object.\n\n\
         Each round, seconds: holdfast {ours}; T1 {ones}; T0 {alls}.\n\n```sh\n{command}\n```\n\n\
         (`tee` writes to a named pipe that `sha256sum` reads: the same as `tee >(sha256sum)`, but waited for and counted.)\n\n",
        nfiles = runs.first().map_or(0, |run| run.nfiles),
        stored = stored as f64 / MIB,
        rounds = runs.len(),
        speed = mib / transfer,
        verify = duration - transfer,
        our_cpu = per_gib(median(runs.iter().map(|run| run.cpu_seconds))),
        beside = beside / 1024.0,
        t1 = wall(one),
        s1 = mib / wall(one),
        c1 = cpu(one),
        t0 = wall(all),
        s0 = mib / wall(all),
        c0 = cpu(all),
        ratio = faster / transfer,
        whole = faster / duration,
        ours = listed(runs.iter().map(|run| run.transfer)),
        ones = listed(one.iter().map(|m| m.seconds)),
        alls = listed(all.iter().map(|m| m.seconds)),
    )
}

/// The final figures of a run, for other parts.
pub(crate) fn transfer_and_duration(run: &Value) -> Result<(f64, f64)> {
    let seconds = |field: &str| run[field].as_f64().map(|ms| ms / 1000.0).with_context(|| format!("no {field}"));
    Ok((seconds("transfer_ms")?, seconds("duration_ms")?))
}

//! The same pipeline and the product through a link with a round trip of 100 ms.

use crate::figures::{MIB, listed, median};
use crate::session::{Bench, Session};
use crate::shell::Shell;
use crate::throughput::transfer_and_duration;
use anyhow::{Context, Result};
use holdfast_testbed::delay_proxy::DelayProxy;
use holdfast_testbed::steps;
use holdfast_testbed::tree::TreeSpec;
use serde_json::json;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

const ONE_WAY: Duration = Duration::from_millis(50);
const POLL: Duration = Duration::from_millis(50);

pub(crate) async fn measure(bench: &Bench) -> Result<String> {
    let spec = TreeSpec { files: 5_000, total_bytes: 400 << 20, ..TreeSpec::large(2, true) };
    let tree = bench.tree("delayed-tree", spec).await?;
    let shell = Shell::prepare(bench).await?;
    let far = |port| DelayProxy::start(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), ONE_WAY);
    let shell_proxy = far(shell.sshd.port()).await?;
    let mut product_proxy = None;
    let session = Session::open(bench, "delayed", async |port| {
        let proxy = far(port).await?;
        Ok(product_proxy.insert(proxy).address().port())
    })
    .await?;
    let task = session.task(&tree, json!({"encryption": {"mode": "managed"}})).await?;
    let (mut transfers, mut durations, mut shells, mut original) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for round in 1..=bench.rounds {
        crate::eprint_line(&format!("   round {round} of {}", bench.rounds));
        let run = steps::back_up(&session.client, task, POLL, |_| {}).await?;
        let (transfer, duration) = transfer_and_duration(&run)?;
        transfers.push(transfer);
        durations.push(duration);
        original = run["progress"]["original_size"].as_u64().context("no original_size")?;
        shells.push(shell.back_up(shell_proxy.address().port(), &Shell::tar(&tree), 1).await?.seconds);
    }
    session.close().await?;
    std::fs::remove_dir_all(&tree)?;
    let mib = original as f64 / MIB;
    let (ours, whole, theirs) = (median(transfers.clone()), median(durations), median(shells.clone()));
    Ok(format!(
        "## Far away\n\n\
         {mib:.0} MiB as tar through a relay that makes every byte 50 ms late in each direction (round trip 100 ms, no \
         limit of bandwidth). Medians of {rounds} rounds, taking turns.\n\n\
         | | seconds | MiB/s |\n|---|---|---|\n\
         | **holdfast**, transfer | {ours:.2} | **{our_speed:.0}** |\n\
         | holdfast, whole run with log-in and verification | {whole:.2} | {whole_speed:.0} |\n\
         | the shell pipeline with the system's `ssh`, `zstd -3 -T1` | {theirs:.2} | {their_speed:.0} |\n\n\
         Holdfast's transfer runs at **{ratio:.1} ×** stock OpenSSH (goal: ≥ 4), the whole run at **{whole_ratio:.1} ×**; the \
         pipeline's seconds hold its log-in and its fsync. OpenSSH's window is 2 MiB, which a round \
         trip of 100 ms empties ten times a second; Holdfast asks for 16 MiB or more. Each round, seconds: holdfast {all}; \
         shell {their_all}.\n\n",
        rounds = shells.len(),
        our_speed = mib / ours,
        whole_speed = mib / whole,
        their_speed = mib / theirs,
        ratio = theirs / ours,
        whole_ratio = theirs / whole,
        all = listed(transfers),
        their_all = listed(shells),
    ))
}

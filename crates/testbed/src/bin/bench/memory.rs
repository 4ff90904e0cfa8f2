//! The most memory a worker holds, above what it holds idle. Each case gets a fresh worker, because memory that was
//! once used does not always go back.

use crate::session::{Bench, Session};
use anyhow::Result;
use holdfast_testbed::processes::peak_memory_kib;
use holdfast_testbed::steps;
use holdfast_testbed::tree::TreeSpec;
use serde_json::{Value, json};
use std::time::Duration;

const POLL: Duration = Duration::from_millis(100);
/// What a job may hold above idle.
const GOAL_MIB: f64 = 64.0;

/// One case.
struct Case {
    size: &'static str,
    mode: &'static str,
    idle_kib: u64,
    peak_kib: u64,
}

impl Case {
    fn above_mib(&self) -> f64 {
        (self.peak_kib - self.idle_kib) as f64 / 1024.0
    }
}

pub(crate) async fn measure(bench: &Bench) -> Result<String> {
    let mut cases = Vec::new();
    for (size, files, total_bytes) in [("100 MB", 400, 100_000_000), ("5 GB", 20_000, 5_000_000_000)] {
        let tree = bench.tree("memory-tree", TreeSpec { files, total_bytes, ..TreeSpec::large(3, true) }).await?;
        for (mode, more) in [
            ("managed", json!({"encryption": {"mode": "managed"}})),
            ("password", json!({"encryption": {"mode": "password"}, "encryption_password": "a password of the bench"})),
        ] {
            crate::eprint_line(&format!("   {size}, {mode}"));
            cases.push(case(bench, &tree, (size, mode), more).await?);
        }
        std::fs::remove_dir_all(&tree)?;
    }
    Ok(text(&cases))
}

async fn case(
    bench: &Bench,
    tree: &std::path::Path,
    (size, mode): (&'static str, &'static str),
    more: Value,
) -> Result<Case> {
    let session = Session::open(bench, "memory", async |port| Ok(port)).await?;
    let task = session.task(tree, more).await?;
    let worker = session.worker_pid()?;
    let idle_kib = peak_memory_kib(worker)?;
    steps::back_up(&session.client, task, POLL, |_| {}).await?;
    let peak_kib = peak_memory_kib(worker)?;
    session.close().await?;
    Ok(Case { size, mode, idle_kib, peak_kib })
}

fn text(cases: &[Case]) -> String {
    let mut text = String::from(
        "## Memory\n\n`VmHWM` of a worker of a release build: idle (after it checked the server and the destination), and after one \
         run. Each line is a fresh worker.\n\n\
         | source | mode | idle, MiB | peak, MiB | above idle, MiB |\n|---|---|---|---|---|\n",
    );
    for case in cases {
        text.push_str(&format!(
            "| {} | {} | {:.1} | {:.1} | **{:.1}** |\n",
            case.size,
            case.mode,
            case.idle_kib as f64 / 1024.0,
            case.peak_kib as f64 / 1024.0,
            case.above_mib()
        ));
    }
    let most = cases.iter().map(Case::above_mib).fold(0.0, f64::max);
    text.push_str(&format!("\nThe most is {most:.1} MiB (goal: ≤ {GOAL_MIB:.0}). "));
    for mode in ["managed", "password"] {
        let of_mode: Vec<f64> = cases.iter().filter(|case| case.mode == mode).map(Case::above_mib).collect();
        if let [small, large] = of_mode[..] {
            let change = (large / small - 1.0) * 100.0;
            text.push_str(&format!("In {mode} mode 5 GB take {change:+.0} % against 100 MB (goal: ± 10 %). "));
        }
    }
    text.push_str("\n\n");
    text
}

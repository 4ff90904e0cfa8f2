//! How long the smallest run takes, as a client sees it.

use crate::figures::{listed, median};
use crate::session::{Bench, Session};
use anyhow::Result;
use holdfast_testbed::steps;
use serde_json::json;
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(20);
const RUNS: usize = 20;

pub(crate) async fn measure(bench: &Bench) -> Result<String> {
    let folder = bench.path("one-file");
    std::fs::create_dir(&folder)?;
    std::fs::write(folder.join("file"), b"one small file\n")?;
    let session = Session::open(bench, "latency", async |port| Ok(port)).await?;
    let task = session.task(&folder, json!({"encryption": {"mode": "managed"}})).await?;
    let mut seconds = Vec::new();
    for _ in 0..RUNS {
        let started = Instant::now();
        steps::back_up(&session.client, task, POLL, |_| {}).await?;
        seconds.push(started.elapsed().as_secs_f64());
    }
    session.close().await?;
    let most = seconds.iter().copied().fold(0.0, f64::max);
    Ok(format!(
        "## The smallest run\n\nA folder with one file, from `POST …/run` to a final state, polled every 20 ms: median **{:.2} s**, at \
         most {most:.2} s in {RUNS} runs (goal: ≤ 1.0 s). All: {}.\n\n",
        median(seconds.clone()),
        listed(seconds)
    ))
}

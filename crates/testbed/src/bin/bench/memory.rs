//! The most memory a worker holds, above what it holds idle. Each case gets a fresh worker, because memory that was
//! once used does not always go back.

use crate::session::{Bench, Session};
use anyhow::Result;
use holdfast_testbed::garage::Garage;
use holdfast_testbed::processes::peak_memory_kib;
use holdfast_testbed::steps;
use holdfast_testbed::tree::{TreeSpec, generate};
use serde_json::json;
use std::path::Path;
use std::time::Duration;

const POLL: Duration = Duration::from_millis(100);
/// What a job may hold above idle.
const GOAL_MIB: f64 = 64.0;

/// The large source is the small one so many times: only the length differs, not what is in it.
const TIMES: usize = 50;
/// What a job to three destinations may hold above idle.
const GOAL_OF_THREE_MIB: f64 = 96.0;

/// One case.
struct Case {
    size: &'static str,
    mode: &'static str,
    destinations: usize,
    idle_kib: u64,
    peak_kib: u64,
}

impl Case {
    fn above_mib(&self) -> f64 {
        (self.peak_kib - self.idle_kib) as f64 / 1024.0
    }
}

pub(crate) async fn measure(bench: &Bench) -> Result<String> {
    let spec = TreeSpec { files: 400, total_bytes: 100_000_000, ..TreeSpec::large(3, true) };
    let large = bench.path("memory-tree");
    for number in 0..TIMES {
        let (at, spec) = (large.join(number.to_string()), spec.clone());
        tokio::task::spawn_blocking(move || generate(&at, &spec)).await??;
    }
    let small = large.join("0");
    let mut cases = Vec::new();
    for mode in ["managed", "password"] {
        for (size, tree) in [("100 MB", &small), ("5 GB", &large)] {
            cases.push(case(bench, tree, (size, mode, 1)).await?);
        }
    }
    cases.push(case(bench, &large, ("5 GB", "managed", 3)).await?);
    std::fs::remove_dir_all(&large)?;
    Ok(text(&cases))
}

async fn case(
    bench: &Bench,
    tree: &Path,
    (size, mode, destinations): (&'static str, &'static str, usize),
) -> Result<Case> {
    crate::eprint_line(&format!("   {size}, {mode}, {destinations} destination(s)"));
    let session = Session::open(bench, "memory", async |port| Ok(port)).await?;
    let mut places = vec![session.destination];
    let garage = if destinations > 1 { Some(Garage::start().await?) } else { None };
    if let Some(garage) = &garage {
        for number in 1..destinations {
            places.push(steps::create_s3_destination(&session.client, garage, &format!("S3 {number}")).await?);
        }
    }
    let more = match mode {
        "managed" => json!({"encryption": {"mode": "managed"}, "backup_destination_ids": places}),
        _ => json!({
            "encryption": {"mode": "password"}, "encryption_password": "a password of the bench",
            "backup_destination_ids": places,
        }),
    };
    let task = session.task(tree, more).await?;
    let worker = session.worker_pid()?;
    let idle_kib = peak_memory_kib(worker)?;
    steps::back_up(&session.client, task, POLL, |_| {}).await?;
    let peak_kib = peak_memory_kib(worker)?;
    session.close().await?;
    Ok(Case { size, mode, destinations, idle_kib, peak_kib })
}

fn text(cases: &[Case]) -> String {
    let mut text = format!(
        "## Memory\n\n`VmHWM` of a worker of a release build: idle (after it checked the server and its destinations), and \
         after one run. Each line is a fresh worker. 100 MB are 400 files; 5 GB are the same files {TIMES} times, so that only \
         the length differs. Three destinations: a local disk and two of S3 (Garage).\n\n\
         | source | mode | destinations | idle, MiB | peak, MiB | above idle, MiB |\n|---|---|---|---|---|---|\n"
    );
    for case in cases {
        text.push_str(&format!(
            "| {} | {} | {} | {:.1} | {:.1} | **{:.1}** |\n",
            case.size,
            case.mode,
            case.destinations,
            case.idle_kib as f64 / 1024.0,
            case.peak_kib as f64 / 1024.0,
            case.above_mib()
        ));
    }
    let most = |is_one: bool| {
        cases.iter().filter(|case| (case.destinations == 1) == is_one).map(Case::above_mib).fold(0.0, f64::max)
    };
    text.push_str(&format!(
        "\nThe most is {:.1} MiB to one destination (goal: ≤ {GOAL_MIB:.0}) and {:.1} MiB to three (goal: ≤ \
         {GOAL_OF_THREE_MIB:.0}). ",
        most(true),
        most(false)
    ));
    for mode in ["managed", "password"] {
        let of_mode = cases.iter().filter(|case| case.mode == mode && case.destinations == 1);
        if let [small, large] = of_mode.collect::<Vec<_>>()[..] {
            text.push_str(&format!(
                "In {mode} mode the `VmHWM` changes by {:+.0} % from 100 MB to 5 GB (goal: ± 10 %), and what it is above idle by {:+.0} %. ",
                change_percent(small.peak_kib as f64, large.peak_kib as f64),
                change_percent(small.above_mib(), large.above_mib())
            ));
        }
    }
    text.push_str("\n\n");
    text
}

fn change_percent(from: f64, to: f64) -> f64 {
    (to / from - 1.0) * 100.0
}

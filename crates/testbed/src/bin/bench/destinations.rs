//! The tree to an S3 server, against the shell pipeline into `rclone rcat`; and to two destinations at once, against one.

use crate::figures::{MIB, listed, median};
use crate::session::{Bench, Session};
use crate::shell::Shell;
use crate::throughput::{sync, transfer_and_duration};
use anyhow::{Context, Result};
use holdfast_testbed::garage::{self, Garage};
use holdfast_testbed::steps;
use holdfast_testbed::tree::TreeSpec;
use serde_json::json;
use std::time::Duration;

const POLL: Duration = Duration::from_millis(50);

/// Seconds of each round.
#[derive(Default)]
struct Rounds {
    original_bytes: u64,
    /// Transfer and whole run.
    s3: Vec<(f64, f64)>,
    both: Vec<(f64, f64)>,
    local: Vec<(f64, f64)>,
    rclone: Vec<f64>,
}

pub(crate) async fn measure(bench: &Bench) -> Result<String> {
    let tree = bench.tree("destinations-tree", TreeSpec::large(1, true)).await?;
    let shell = Shell::prepare(bench).await?;
    let server = Garage::start().await?;
    let session = Session::open(bench, "destinations", async |port| Ok(port)).await?;
    let s3 = steps::create_s3_destination(&session.client, &server, "Garage").await?;
    let mut tasks = Vec::new();
    for places in [vec![s3], vec![session.destination, s3], vec![session.destination]] {
        let more = json!({
            "encryption": {"mode": "managed"}, "backup_destination_ids": places, "maximum_backups_to_keep": 1,
        });
        tasks.push(session.task(&tree, more).await?);
    }
    let store = rclone(&server);
    let pipeline = shell.pipeline(shell.sshd.port(), &Shell::tar(&tree), 0, &store);
    let mut rounds = Rounds::default();
    for round in 0..=bench.rounds {
        crate::eprint_line(&format!("   round {round} of {} (0 is not counted)", bench.rounds));
        let mut seconds = Vec::new();
        for task in &tasks {
            sync().await?;
            let run = steps::back_up(&session.client, *task, POLL, |_| {}).await?;
            rounds.original_bytes = run["progress"]["original_size"].as_u64().context("no original_size")?;
            seconds.push(transfer_and_duration(&run)?);
        }
        sync().await?;
        let piped = shell.run(&pipeline).await?.seconds;
        if let ([of_s3, of_both, of_local], true) = (&seconds[..], round > 0) {
            rounds.s3.push(*of_s3);
            rounds.both.push(*of_both);
            rounds.local.push(*of_local);
            rounds.rclone.push(piped);
        }
    }
    session.close().await?;
    std::fs::remove_dir_all(&tree)?;
    let shown = pipeline.replace(garage::SECRET_KEY, "…");
    shell.remove()?;
    Ok(text(&rounds, &shown))
}

/// `rclone rcat` as it is, told where to by its environment alone. It writes the same object each time.
fn rclone(server: &Garage) -> String {
    let settings = [
        ("TYPE", "s3"),
        ("PROVIDER", "Other"),
        ("ACCESS_KEY_ID", garage::ACCESS_KEY),
        ("SECRET_ACCESS_KEY", garage::SECRET_KEY),
        ("REGION", garage::REGION),
        ("ENDPOINT", &server.endpoint()),
    ];
    let settings: Vec<String> =
        settings.iter().map(|(name, value)| format!("RCLONE_CONFIG_GARAGE_{name}={value}")).collect();
    // rclone fails where that variable is set, even without TLS.
    format!(
        "env -u AWS_CA_BUNDLE {} rclone --config= --s3-no-check-bucket rcat garage:{}/shell",
        settings.join(" "),
        garage::BUCKET
    )
}

fn text(rounds: &Rounds, command: &str) -> String {
    let mib = rounds.original_bytes as f64 / MIB;
    let transfer = |of: &[(f64, f64)]| median(of.iter().map(|(transfer, _)| *transfer));
    let duration = |of: &[(f64, f64)]| median(of.iter().map(|(_, duration)| *duration));
    let rclone = median(rounds.rclone.iter().copied());
    let mut text = format!(
        "## To an S3 server, and to two destinations at once\n\n\
         {mib:.0} MiB as tar, managed key, to Garage on this machine (its processor time is on both sides). Medians of {} \
         rounds, taking turns. The transfer ends when the destination has all bytes; the whole run also completes the object, \
         reads back, and writes the manifest. The pipeline ends in `rclone rcat` with rclone's own settings.\n\n\
         | | transfer, s | MiB/s | the whole run, s |\n|---|---|---|---|\n",
        rounds.rclone.len()
    );
    for (name, of) in [
        ("**holdfast to S3**", &rounds.s3),
        ("holdfast to a local disk", &rounds.local),
        ("**holdfast to both at once**", &rounds.both),
    ] {
        text.push_str(&format!("| {name} | {:.2} | {:.0} | {:.2} |\n", transfer(of), mib / transfer(of), duration(of)));
    }
    text.push_str(&format!("| shell into `rclone rcat` | {rclone:.2} | {:.0} | |\n", mib / rclone));
    let transfers = |of: &[(f64, f64)]| listed(of.iter().map(|(transfer, _)| *transfer));
    text.push_str(&format!(
        "\nTo S3 the transfer runs at **{:.2} ×** the pipeline (goal: ≥ 1.0), the whole run at {:.2} ×. To both at once the \
         transfer runs at **{:.2} ×** the one to S3 alone (goal: ≥ 0.85).\n\n\
         Each round, seconds: S3 {}; local {}; both {}; rclone {}.\n\n```sh\n{command}\n```\n\n",
        rclone / transfer(&rounds.s3),
        rclone / duration(&rounds.s3),
        transfer(&rounds.s3) / transfer(&rounds.both),
        transfers(&rounds.s3),
        transfers(&rounds.local),
        transfers(&rounds.both),
        listed(rounds.rclone.iter().copied()),
    ));
    text
}

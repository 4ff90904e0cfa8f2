//! `holdfast demo`: shows on one machine that a backup comes back. It starts the product and a customer of its own on
//! loopback, uses the product as a client would, through HTTP and the command line alone, compares what came back with
//! what was there, and removes everything again. It must never touch a server, a database or a folder that it did not
//! make itself.

mod by_hand;
mod customer;
mod databases;
mod files;
mod keep;
mod report;
mod screen;
mod walk;
mod workplace;

use anyhow::{Result, bail};
use clap::Args;
use screen::Screen;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};
use workplace::Workplace;

/// What a demo may be told.
#[derive(Args, Clone)]
pub struct DemoArgs {
    /// Leave everything running at the end, and say where it is and how to end it.
    #[arg(long)]
    keep: bool,
    /// Where the demo may make a folder of its own; about 8 GiB are needed.
    #[arg(long, value_name = "DIR", default_value = "/var/tmp")]
    folder: PathBuf,
    /// How many files the customer has.
    #[arg(long, value_name = "N", default_value_t = 38_000, value_parser = clap::value_parser!(u32).range(20..=500_000))]
    files: u32,
    /// How much the files hold together.
    #[arg(long, value_name = "N", default_value_t = 1_126, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    size_mib: u32,
    /// How `--keep` starts the process that stays.
    #[arg(long, hide = true)]
    stay: bool,
}

/// Runs the demo.
///
/// # Errors
/// Something is missing, a step failed, or what came back differs: one sentence says what.
pub async fn run(args: DemoArgs) -> Result<ExitCode> {
    if args.keep && !args.stay {
        return keep::in_the_background().await;
    }
    let screen = Screen::new(args.stay);
    by_hand::require_programs()?;
    let place = Workplace::make(&args)?;
    let outcome = tokio::select! {
        outcome = walk::walk(&args, &place, &screen) => outcome,
        () = told_to_end() => bail!("interrupted; everything was stopped and removed"),
    };
    match outcome {
        Ok(running) if args.stay => keep::hold(running, &place, &screen).await?,
        Ok(running) => {
            screen.step("Stopping everything and removing the demo's folder");
            running.stop().await?;
        }
        Err(error) => {
            screen.end_line();
            return Err(error);
        }
    }
    place.remove()?;
    screen.done("done");
    Ok(ExitCode::SUCCESS)
}

/// Returns when Ctrl-C is pressed or the process is asked to end.
async fn told_to_end() {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

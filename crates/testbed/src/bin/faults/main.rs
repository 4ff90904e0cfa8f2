//! What `./dev faults` runs that takes longer than a test may: workers killed for a long time. It makes a user to log in
//! as, so it needs root; it leaves nothing behind, however it ends.

mod fleet;
mod kill_loop;
mod soak;
mod world;

use anyhow::{Result, bail, ensure};
use clap::{Parser, ValueEnum};
use std::path::PathBuf;

/// What to do.
#[derive(Clone, Copy, ValueEnum)]
enum Row {
    /// Kills workers in long runs, restores and compares what succeeds.
    Soak,
    /// Kills workers in a loop of short runs.
    KillLoop,
}

#[derive(Parser)]
struct Arguments {
    row: Row,
    /// The build to be tried.
    #[arg(long, default_value = "target/release/holdfast")]
    binary: PathBuf,
    /// How often a worker is killed; 200 in a soak, 1,000 in the loop.
    #[arg(long)]
    times: Option<u32>,
    /// Decides the moments.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ensure!(rustix::process::geteuid().is_root(), "this needs root: it makes a user to log in as");
    tokio::select! {
        done = row(&arguments) => done,
        // Returning ends the product and removes user and folder; the signal alone would leave them.
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
    }
}

async fn row(arguments: &Arguments) -> Result<()> {
    match arguments.row {
        Row::Soak => soak::soak(arguments).await,
        Row::KillLoop => kill_loop::kill_loop(arguments).await,
    }
}

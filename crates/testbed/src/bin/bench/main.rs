//! `./dev bench`: measures the product against what people would otherwise type, and writes docs/benchmarks.md. The
//! product is a release build, used through its API and command line alone. Needs root, and a machine that does
//! nothing else.

mod databases;
mod delay;
mod destinations;
mod events;
mod figures;
mod latency;
mod list;
mod machine;
mod memory;
mod others;
mod schedule;
mod session;
mod shell;
mod throughput;

use anyhow::{Context, Result, bail, ensure};
use clap::Parser;
use session::Bench;
use std::io::Write;
use std::path::PathBuf;

/// All parts, in the order of the document.
const PARTS: [&str; 10] =
    ["throughput", "databases", "destinations", "others", "delay", "memory", "latency", "list", "schedule", "events"];

/// What to measure.
#[derive(Parser)]
struct Arguments {
    /// The release build.
    #[arg(long, default_value = "target/release/holdfast")]
    binary: PathBuf,
    /// Where a folder for the bench can be made; 20 GiB are needed for all parts.
    #[arg(long, default_value = "/var/tmp")]
    folder: PathBuf,
    /// How often each side is measured.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Parts, separated by commas; all without it.
    #[arg(long, value_delimiter = ',', value_parser = PARTS)]
    parts: Vec<String>,
    /// The document to write. Some parts alone, or without this, go to standard output.
    #[arg(long)]
    output: Option<PathBuf>,
    /// Serves the bare handler of the part `list` instead, on the database behind this socket.
    #[arg(long, hide = true)]
    bare_list: Option<PathBuf>,
    /// What the bare handler's links start with.
    #[arg(long, hide = true, default_value = "")]
    base: String,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(socket) = &arguments.bare_list {
        return list::serve(socket, &arguments.base).await;
    }
    ensure!(rustix::process::geteuid().is_root(), "the bench needs root: it logs in as root and sets owners");
    let bench = Bench::prepare(&arguments.binary, &arguments.folder, arguments.rounds)?;
    tokio::select! {
        measured = measure(&arguments, &bench) => measured,
        // Returning ends the product and removes the folder; the signal alone would leave both.
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
    }
}

async fn measure(arguments: &Arguments, bench: &Bench) -> Result<()> {
    let mut document = machine::head(bench).await?;
    for part in PARTS {
        if !arguments.parts.is_empty() && !arguments.parts.iter().any(|wanted| wanted == part) {
            continue;
        }
        eprint_line(&format!("== {part}"));
        let text = match part {
            "throughput" => throughput::measure(bench).await,
            "databases" => databases::measure(bench).await,
            "destinations" => destinations::measure(bench).await,
            "others" => others::measure(bench).await,
            "delay" => delay::measure(bench).await,
            "memory" => memory::measure(bench).await,
            "latency" => latency::measure(bench).await,
            "list" => list::measure(bench).await,
            "schedule" => schedule::measure(bench).await,
            _ => events::measure(bench).await,
        };
        let text = text.context(part)?;
        // Shown at once: a later part that fails takes nothing with it.
        eprint_line(&text);
        document.push_str(&text);
    }
    match &arguments.output {
        Some(file) if arguments.parts.is_empty() => {
            std::fs::write(file, &document).with_context(|| format!("cannot write {}", file.display()))?
        }
        _ => std::io::stdout().lock().write_all(document.as_bytes())?,
    }
    Ok(())
}

/// What goes on, for whoever waits.
fn eprint_line(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

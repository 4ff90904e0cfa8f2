//! `./dev bench`: measures the product against what people would otherwise type, and writes docs/benchmarks.md. The
//! product is a release build, used through its API and command line alone. Needs root, and a machine that does
//! nothing else.

mod delay;
mod figures;
mod latency;
mod machine;
mod memory;
mod others;
mod session;
mod shell;
mod throughput;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use session::Bench;
use std::io::Write;
use std::path::PathBuf;

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
    /// Parts, separated by commas.
    #[arg(long, value_delimiter = ',', default_value = "throughput,others,delay,memory,latency")]
    parts: Vec<String>,
    /// The document to write; without it the text goes to standard output.
    #[arg(long)]
    output: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    ensure!(rustix::process::geteuid().is_root(), "the bench needs root: it logs in as root and sets owners");
    let bench = Bench::prepare(&arguments.binary, &arguments.folder, arguments.rounds)?;
    let mut document = machine::head(&bench).await?;
    for part in &arguments.parts {
        eprint_line(&format!("== {part}"));
        let text = match part.as_str() {
            "throughput" => throughput::measure(&bench).await,
            "others" => others::measure(&bench).await,
            "delay" => delay::measure(&bench).await,
            "memory" => memory::measure(&bench).await,
            "latency" => latency::measure(&bench).await,
            other => anyhow::bail!("there is no part {other:?}"),
        };
        document.push_str(&text.with_context(|| part.clone())?);
    }
    match &arguments.output {
        Some(file) => std::fs::write(file, &document).with_context(|| format!("cannot write {}", file.display()))?,
        None => std::io::stdout().lock().write_all(document.as_bytes())?,
    }
    Ok(())
}

/// What goes on, for whoever waits.
fn eprint_line(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

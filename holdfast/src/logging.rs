//! The product's own log, on standard error. Standard output is for what a command was asked to print.

use anyhow::{Result, anyhow};
use holdfast_config::{LogConfig, LogFormat};
use std::io::{IsTerminal, Write};
use tracing_subscriber::EnvFilter;

/// Libraries that tell every "already exists, skipping" of a migration at `info`. `log.filter` comes after it and wins.
const QUIET: &str = "sqlx::postgres::notice=warn,sea_orm_migration=warn";

/// Starts logging.
///
/// # Errors
/// `log.filter` is not one.
pub fn start(config: &LogConfig) -> Result<()> {
    let filter =
        EnvFilter::try_new(format!("{QUIET},{}", config.filter)).map_err(|error| anyhow!("`log.filter`: {error}"))?;
    // A line that cannot be written (a full disk behind standard error) is lost. Told of with `eprintln!`, as the library
    // would, it ended the task that wrote it: a worker with a full log took no run any more.
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).log_internal_errors(false).with_writer(std::io::stderr);
    let started = match config.format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow!("the log cannot be started: {error}"))
}

/// The last words of a command that failed: the chain of causes in one line.
pub fn complain(error: &anyhow::Error) {
    // With standard error closed there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "holdfast: {error:#}");
}

/// What a command was asked to print. A closed pipe is not an error of ours.
pub fn say(text: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

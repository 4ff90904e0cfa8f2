//! One file a role.

mod admin;
mod api;
mod check_config;
pub mod demo;
mod migrate;
mod up;
mod worker;

use crate::cli::{Cli, Role};
use anyhow::{Context, Result, anyhow};
use holdfast_config::Config;
use std::path::Path;
use std::process::ExitCode;

/// Runs the role that was asked for.
///
/// # Errors
/// What it could not do, as one chain of causes.
pub fn run(cli: Cli) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    let file = cli.config;
    let outcome = runtime.block_on(async {
        match cli.role {
            Role::Api(args) => api::run(args, load_config(file.as_deref())?).await,
            Role::Worker(args) => worker::run(args, load_config(file.as_deref())?).await,
            Role::Up(args) => up::run(args, file.as_deref()).await,
            Role::Migrate(args) => migrate::run(args, load_config(file.as_deref())?).await,
            Role::CheckConfig => check_config::run(file.as_deref()),
            Role::Demo(args) => demo::run(args).await,
            Role::Admin(command) => admin::run(command, load_config(file.as_deref())?).await,
        }
    });
    // Not waiting for blocking tasks: one that reads standard input would keep the process for ever.
    runtime.shutdown_background();
    outcome
}

/// The configuration of a single process.
fn load_config(file: Option<&Path>) -> Result<Config> {
    Config::load(file, environment()).map_err(|errors| anyhow!("{errors}"))
}

/// Variables whose name or value is no text belong to nobody here.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
}

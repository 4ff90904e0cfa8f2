//! One binary, the role is the subcommand. This file is the table of contents; a role's body is `roles/<role>.rs`.

mod cli;
mod data_dir;
mod database;
mod kek;
mod lifecycle;
mod logging;
mod own_copy;
mod private_postgres;
mod roles;
mod schema;
mod supervisor;

use clap::Parser;
use std::process::ExitCode;

/// glibc's keeps for each thread what that thread freed; a run of many threads then peaks half as high again.
#[global_allocator]
static HEAP: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let told = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let outcome = match told {
        Ok(()) => roles::run(cli),
        Err(_) => Err(anyhow::anyhow!("a TLS provider was already installed")),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            logging::complain(&error);
            ExitCode::FAILURE
        }
    }
}

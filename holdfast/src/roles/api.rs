//! `holdfast api`: the REST API. It is given no key, and a folder's private database only by `holdfast up`.

use crate::cli::ApiArgs;
use crate::lifecycle::{Lifecycle, parent_from_env};
use crate::{database, logging};
use anyhow::{Context, Result};
use holdfast_config::Config;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::Arc;
use tokio::net::TcpListener;

pub async fn run(args: ApiArgs, config: Config) -> Result<ExitCode> {
    logging::start(&config.log)?;
    let lifecycle = Lifecycle::default();
    lifecycle.end_with_parent(parent_from_env())?;
    let serve = async {
        let (app, owner) = (args.place.database_app_url.as_ref(), args.place.database_url.as_ref());
        let store = database::store(app, owner, config.database.max_connections).await?;
        let listener = if args.listener_on_stdin { listener_on_stdin()? } else { bind(&config).await? };
        tracing::info!(address = %listener.local_addr()?, "the api listens");
        let (soft, hard) = (lifecycle.soft.clone(), lifecycle.hard.clone());
        holdfast_api::serve(Arc::new(config), store, listener, soft, hard).await
    };
    lifecycle.run(serve).await?;
    Ok(ExitCode::SUCCESS)
}

async fn bind(config: &Config) -> Result<TcpListener> {
    let address = config.http.listen;
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}: choose another address with `http.listen`"))
}

/// The supervisor bound it, so that connections wait while this process is restarted.
fn listener_on_stdin() -> Result<TcpListener> {
    let fd = std::io::stdin().as_fd().try_clone_to_owned().context("standard input")?;
    let listener = std::net::TcpListener::from(fd);
    listener.set_nonblocking(true).context("standard input is not a listening socket")?;
    TcpListener::from_std(listener).context("standard input is not a listening socket")
}

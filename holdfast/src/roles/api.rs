//! `holdfast api`: the REST API. It is given no key, and a folder's private database only by `holdfast up`.

use crate::cli::ApiArgs;
use crate::lifecycle::{Lifecycle, parent_from_env};
use crate::{database, logging};
use anyhow::{Context, Result};
use holdfast_api::{Listeners, Stop};
use holdfast_config::Config;
use holdfast_migration::Migrator;
use sea_orm_migration::MigratorTrait;
use std::net::SocketAddr;
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
        let public = match args.listener_on_stdin {
            true => listener_on_stdin()?,
            false => bind(config.http.listen, "http.listen").await?,
        };
        tracing::info!(address = %public.local_addr()?, "the api listens");
        let operator = match config.operator.listen {
            Some(address) => Some(bind(address, "operator.listen").await?),
            None => None,
        };
        if let Some(listener) = &operator {
            tracing::info!(address = %listener.local_addr()?, "the operator's listener listens");
        }
        let stop = Stop { soft: lifecycle.soft.clone(), hard: lifecycle.hard.clone() };
        let needed = Migrator::migrations().last().map(|migration| migration.name().to_owned());
        holdfast_api::serve(Arc::new(config), (store, needed), Listeners { public, operator }, stop).await
    };
    lifecycle.run(serve).await?;
    Ok(ExitCode::SUCCESS)
}

async fn bind(address: SocketAddr, key: &str) -> Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}: choose another address with `{key}`"))
}

/// The supervisor bound it, so that connections wait while this process is restarted.
fn listener_on_stdin() -> Result<TcpListener> {
    let fd = std::io::stdin().as_fd().try_clone_to_owned().context("standard input")?;
    let listener = std::net::TcpListener::from(fd);
    listener.set_nonblocking(true).context("standard input is not a listening socket")?;
    TcpListener::from_std(listener).context("standard input is not a listening socket")
}

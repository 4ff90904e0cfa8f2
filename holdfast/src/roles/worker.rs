//! `holdfast worker`: takes runs and restores. It holds the key file, and serves the api only.

use crate::cli::WorkerArgs;
use crate::lifecycle::{Lifecycle, parent_from_env};
use crate::own_copy::OwnDatabaseReader;
use crate::{database, logging};
use anyhow::{Context, Result};
use holdfast_config::Config;
use holdfast_vault::Kek;
use holdfast_worker::own_database::OwnDatabase;
use secrecy::ExposeSecret;
use std::process::ExitCode;
use std::sync::Arc;

pub async fn run(args: WorkerArgs, config: Config) -> Result<ExitCode> {
    logging::start(&config.log)?;
    let lifecycle = Lifecycle::default();
    lifecycle.end_with_parent(parent_from_env())?;
    let work = async {
        let file = config.vault.kek_file.as_deref().context("a worker needs the key file: set `vault.kek_file`")?;
        let kek = Kek::load(file)?;
        let (app, owner) = (args.place.database_app_url.as_ref(), args.place.database_url.as_ref());
        let store = database::store(app, owner, config.database.max_connections).await?;
        // The owner may read all of it too, where a worker was given that address.
        let whole = args.database_copy_url.or(args.place.database_url).filter(|url| !url.expose_secret().is_empty());
        let reader = whole.map(|url| Arc::new(OwnDatabaseReader::new(url, file.to_owned())) as Arc<dyn OwnDatabase>);
        let (soft, hard) = (lifecycle.soft.clone(), lifecycle.hard.clone());
        holdfast_worker::run(Arc::new(config), (store, reader), kek, soft, hard).await
    };
    lifecycle.run(work).await?;
    Ok(ExitCode::SUCCESS)
}

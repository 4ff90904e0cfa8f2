//! `holdfast migrate`: brings the schema up to date, with a copy from before.

use crate::cli::MigrateArgs;
use crate::data_dir::DataDir;
use crate::database::Database;
use crate::logging::{self, say};
use crate::schema::{self, CopyBefore};
use anyhow::Result;
use holdfast_config::Config;
use std::process::ExitCode;

pub async fn run(args: MigrateArgs, config: Config) -> Result<ExitCode> {
    logging::start(&config.log)?;
    let data_dir = args.place.data_dir.as_deref().map(DataDir::prepare).transpose()?;
    let copies = CopyBefore::Into(args.copies.or_else(|| data_dir.as_ref().map(DataDir::copies)));
    let database = Database::open(&args.place, data_dir.as_ref(), "migrate").await?;
    let outcome = migrate(&database, &copies).await;
    database.close().await?;
    say(outcome?);
    Ok(ExitCode::SUCCESS)
}

/// The schema and what the private database needs besides; a sentence about what was done.
pub async fn migrate(database: &Database, copies: &CopyBefore) -> Result<String> {
    let pool = database.owner_pool().await?;
    let done = schema::migrate(&pool, copies).await;
    pool.close().await;
    let done = done?;
    database.after_migration().await?;
    let copy = done.copy.map(|path| format!("; the database as it was before is in {}", path.display()));
    Ok(match done.applied {
        0 => "the schema is up to date".to_owned(),
        n => format!("{n} migrations applied{}", copy.unwrap_or_default()),
    })
}

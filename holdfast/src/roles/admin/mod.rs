//! `holdfast admin …`: the operator's work, one file a command. Each runs beside a running installation or by itself.

mod backup;
mod create_token;
mod create_user;
mod login_key;
mod recovery_kit;
mod restore;
mod revoke_token;

use crate::cli::{Admin, Place};
use crate::data_dir::DataDir;
use crate::database::Database;
use crate::lifecycle::Lifecycle;
use crate::logging;
use anyhow::{Result, bail};
use chrono::Utc;
use holdfast_config::Config;
use holdfast_domain::ids::TokenId;
use std::process::ExitCode;

/// What a command works with.
pub struct Site<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The data folder, if one was given.
    pub data_dir: Option<&'a DataDir>,
    /// The database.
    pub database: &'a Database,
}

pub async fn run(command: Admin, config: Config) -> Result<ExitCode> {
    logging::start(&config.log)?;
    match command {
        Admin::CreateUser { place, email, name, timezone, password_stdin: _, operator } => {
            let new = create_user::NewUser { email, name, timezone, operator };
            at(&place, &config, async |site| create_user::run(&site, new).await).await?;
        }
        Admin::CreateToken { place, email, name, abilities, expires_in_days } => {
            let wanted = create_token::WantedToken { email, name, abilities, expires_in_days };
            at(&place, &config, async |site| create_token::run(&site, wanted, Utc::now()).await).await?;
        }
        Admin::RevokeToken { place, email, id } => {
            at(&place, &config, async |site| revoke_token::run(&site, &email, TokenId(id), Utc::now()).await).await?;
        }
        Admin::Backup { place, to, recipient } => {
            at(&place, &config, async |site| backup::run(&site, &to, &recipient).await).await?;
        }
        Admin::Restore { place, from, identity } => {
            at(&place, &config, async |site| restore::run(&site, &from, &identity).await).await?;
        }
        Admin::LoginKey { place } => {
            at(&place, &config, async |site| login_key::run(&site).await).await?;
        }
        Admin::RecoveryKit { place, team } => {
            at(&place, &config, async |site| recovery_kit::run(&site, team).await).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs `work` on the database of `place`, and lets go of it whatever comes of it, Ctrl-C included.
async fn at(place: &Place, config: &Config, work: impl AsyncFnOnce(Site<'_>) -> Result<()>) -> Result<()> {
    let data_dir = place.data_dir.as_deref().map(DataDir::prepare).transpose()?;
    let lifecycle = Lifecycle::default();
    let job = async {
        let database = Database::open(place, data_dir.as_ref(), "admin").await?;
        let site = Site { config, data_dir: data_dir.as_ref(), database: &database };
        let outcome = tokio::select! {
            outcome = work(site) => outcome,
            () = lifecycle.soft.cancelled() => bail_interrupted(),
        };
        let closed = database.close().await;
        outcome.and(closed)
    };
    lifecycle.run(job).await
}

fn bail_interrupted() -> Result<()> {
    bail!("interrupted")
}

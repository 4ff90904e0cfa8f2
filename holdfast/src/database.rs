//! Which database a command works on: the one at `DATABASE_URL`, or the private one of a data folder, which is started
//! for the command and stopped after it.

use crate::cli::Place;
use crate::data_dir::DataDir;
use crate::private_postgres::PrivatePostgres;
use anyhow::{Context, Result, bail};
use holdfast_store::Store;
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use std::time::Duration;

/// Connections of a command that works for a moment.
const COMMAND_CONNECTIONS: u32 = 4;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A database to work on.
pub struct Database {
    private: Option<PrivatePostgres>,
    owner_url: SecretString,
    app_url: Option<SecretString>,
}

impl Database {
    /// Finds it, starting the private one if need be. `role` is what others are told who find it taken.
    ///
    /// # Errors
    /// Neither a folder nor an address was given, or the private database has a problem; one sentence.
    pub async fn open(place: &Place, data_dir: Option<&DataDir>, role: &'static str) -> Result<Self> {
        if let Some(url) = place.database_url.as_ref().filter(|url| !url.expose_secret().is_empty()) {
            let app_url = place.database_app_url.clone().filter(|url| !url.expose_secret().is_empty());
            return Ok(Self { private: None, owner_url: url.clone(), app_url });
        }
        let Some(data_dir) = data_dir else { bail!(NO_PLACE) };
        let private = PrivatePostgres::open(data_dir, role).await?;
        let owner_url = SecretString::from(private.owner_url());
        let app_url = Some(SecretString::from(private.app_url()));
        Ok(Self { private: Some(private), owner_url, app_url })
    }

    /// The one variable that processes of this installation are given: the address with the application's rights
    /// alone, or else the owner's.
    pub fn address_for_children(&self) -> (&'static str, &str) {
        match &self.app_url {
            Some(url) => ("DATABASE_APP_URL", url.expose_secret()),
            None => ("DATABASE_URL", self.owner_url.expose_secret()),
        }
    }

    /// Starts the private server again when it ends by itself; never returns for a database elsewhere.
    pub async fn keep_running(&self) -> anyhow::Error {
        match &self.private {
            Some(private) => private.keep_running().await,
            None => std::future::pending().await,
        }
    }

    /// A small pool as the owner, for migrations and copies.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub async fn owner_pool(&self) -> Result<PgPool> {
        PgPoolOptions::new()
            .max_connections(COMMAND_CONNECTIONS)
            .acquire_timeout(CONNECT_TIMEOUT)
            .connect_with(options(&self.owner_url, "DATABASE_URL")?)
            .await
            .context("the database cannot be reached (DATABASE_URL)")
    }

    /// The address that reads the whole database and changes nothing, for the workers; none where none is known.
    pub fn copy_url(&self) -> Option<SecretString> {
        self.private.as_ref().map(|private| SecretString::from(private.copy_url()))
    }

    /// The door that a command of the operator uses, with the application's rights.
    ///
    /// # Errors
    /// The server cannot be reached, or was never migrated.
    pub async fn store(&self) -> Result<Store> {
        store(self.app_url.as_ref(), Some(&self.owner_url), COMMAND_CONNECTIONS).await
    }

    /// After the migrations: what the private database needs besides them.
    ///
    /// # Errors
    /// The server refused.
    pub async fn after_migration(&self) -> Result<()> {
        match &self.private {
            Some(private) => private.make_logins().await,
            None => Ok(()),
        }
    }

    /// Lets go of it.
    ///
    /// # Errors
    /// The private server could not be stopped.
    pub async fn close(self) -> Result<()> {
        match self.private {
            Some(private) => private.close().await,
            None => Ok(()),
        }
    }
}

const NO_PLACE: &str = "where is the database? Give --data-dir DIR (a private database in that folder), or set \
                        DATABASE_URL (postgres://user:password@host/database)";

/// Opens the application's door: `DATABASE_APP_URL` if it is given, else the owner, who then acts as `holdfast_app`.
///
/// # Errors
/// No address, one that is none, or a server that cannot be reached or was never migrated.
pub async fn store(app: Option<&SecretString>, owner: Option<&SecretString>, connections: u32) -> Result<Store> {
    let is_set = |url: &&SecretString| !url.expose_secret().is_empty();
    let (url, name) = match (app.filter(is_set), owner.filter(is_set)) {
        (Some(url), _) => (url, "DATABASE_APP_URL"),
        (None, Some(url)) => (url, "DATABASE_URL"),
        (None, None) => bail!("set DATABASE_APP_URL or DATABASE_URL: postgres://user:password@host/database"),
    };
    Store::connect(options(url, name)?, connections).await.with_context(|| {
        format!("the database at {name} cannot be used; is it up, and was `holdfast migrate` run on it?")
    })
}

/// One connection that reads the whole database.
///
/// # Errors
/// The server cannot be reached.
pub async fn reading_pool(url: &SecretString) -> Result<PgPool> {
    PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(CONNECT_TIMEOUT)
        .connect_with(options(url, "DATABASE_COPY_URL")?)
        .await
        .context("the database cannot be reached (DATABASE_COPY_URL)")
}

/// The address is not repeated in an error: it carries a password.
fn options(url: &SecretString, name: &str) -> Result<PgConnectOptions> {
    url.expose_secret().parse().map_err(|_| {
        anyhow::anyhow!("{name} is no address of a PostgreSQL database (postgres://user:password@host/database)")
    })
}

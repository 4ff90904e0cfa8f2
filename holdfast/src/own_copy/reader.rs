//! What a worker is given to copy the whole database with: an address that may read all of it and change nothing, and
//! the place of the key. Both are used only while a copy is made.

use super::send_encrypted;
use crate::database;
use anyhow::Result;
use async_trait::async_trait;
use bytes::Bytes;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_vault::Kek;
use holdfast_worker::own_database::OwnDatabase;
use secrecy::SecretString;
use std::path::PathBuf;
use tokio::sync::mpsc;

/// The way to the whole database.
pub struct OwnDatabaseReader {
    url: SecretString,
    kek_file: PathBuf,
}

impl OwnDatabaseReader {
    /// Reads through `url`, and the key from `kek_file`.
    pub fn new(url: SecretString, kek_file: PathBuf) -> Self {
        Self { url, kek_file }
    }

    async fn send(&self, recipients: &[String], out: mpsc::Sender<Bytes>) -> Result<()> {
        let kek = Kek::load(&self.kek_file)?;
        let pool = database::reading_pool(&self.url).await?;
        let sent = send_encrypted(&pool, &kek, recipients, out).await;
        pool.close().await;
        sent
    }
}

#[async_trait]
impl OwnDatabase for OwnDatabaseReader {
    async fn copy(&self, recipients: &[String], out: mpsc::Sender<Bytes>) -> Result<(), Failure> {
        self.send(recipients, out).await.map_err(|error| {
            // The chain may name hosts and files of the operator's: it is for the log.
            tracing::error!("the own database was not copied: {error:#}");
            Failure::new(Step::Stream, FailureCode::OwnDatabaseFailed, "The own database could not be read whole.")
        })
    }
}

//! The key file and the database belong together: a key that did not seal what is in the database opens nothing, and a
//! new one made beside an old database would look like a working system until the first secret is needed.

use crate::data_dir::DataDir;
use anyhow::{Context, Result, bail};
use holdfast_config::Config;
use holdfast_store::Store;
use holdfast_vault::{KEY_VERSION, Kek, KekError, KekOrigin, LoginKey, Opener};
use std::path::{Path, PathBuf};

/// Where the key is: `vault.kek_file`, or else in the data folder.
///
/// # Errors
/// Neither is known.
pub fn path(config: &Config, data_dir: Option<&DataDir>) -> Result<PathBuf> {
    let configured = config.vault.kek_file.clone();
    configured
        .or_else(|| data_dir.map(DataDir::kek_file))
        .context("where is the key file? Set `vault.kek_file` (HOLDFAST__VAULT__KEK_FILE), or give --data-dir DIR")
}

/// The log-in key that belongs to `kek`: `accounts.login_key_file`, or else beside the key file; made if there is none.
///
/// # Errors
/// There is another key, or the file cannot be used; one sentence.
pub fn login_key(config: &Config, kek_file: &Path, kek: &Kek) -> Result<PathBuf> {
    let path = config.accounts.login_key_file.clone().unwrap_or_else(|| kek_file.with_file_name("login-key"));
    let path = std::path::absolute(&path).with_context(|| path.display().to_string())?;
    let key = LoginKey::from_kek(kek);
    match LoginKey::load(&path) {
        Ok(there) if there.is_same(&key) => {}
        Ok(_) => bail!(
            "the log-in key {} does not belong to the key file {}: move it away, and it is made anew",
            path.display(),
            kek_file.display()
        ),
        Err(KekError::Missing(_)) => key.write_new(&path, &mut rand::rng())?,
        Err(error) => return Err(error.into()),
    }
    Ok(path)
}

/// The key of this installation; made if there is none and nothing was ever sealed with another.
///
/// # Errors
/// The file is missing although something was sealed, is another key, or cannot be used; one sentence.
pub async fn open(path: &Path, store: &Store) -> Result<(Kek, KekOrigin)> {
    let recorded = store.vault_key().await?;
    let (kek, origin) = match (Kek::load(path), &recorded) {
        (Err(KekError::Missing(_)), None) => Kek::load_or_create(path, &mut rand::rng())?,
        (Err(KekError::Missing(_)), Some(_)) => bail!(
            "the key file {} is missing, and this database's secrets were sealed with it: put the copy you kept there",
            path.display()
        ),
        (kek, _) => (kek?, KekOrigin::Loaded),
    };
    let opener = Opener::from_kek(&kek);
    if store.record_vault_key(KEY_VERSION, opener.public_key()).await? != opener.public_key() {
        bail!(
            "the key file {} is not the one this database's secrets were sealed with: put the right copy there",
            path.display()
        );
    }
    Ok((kek, origin))
}

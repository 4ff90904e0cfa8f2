//! `admin restore`: what `admin backup` wrote, into a new data folder or an empty database.

use super::Site;
use crate::logging::say;
use crate::{kek, own_copy};
use anyhow::{Result, bail};
use holdfast_vault::{Kek, Opener};
use std::path::Path;

pub async fn run(site: &Site<'_>, from: &Path, identity: &Path) -> Result<()> {
    let path = kek::path(site.config, site.data_dir)?;
    let pool = site.database.owner_pool().await?;
    let loaded = own_copy::load(&pool, from, identity, |kek| place_key(&path, &kek)).await?;
    site.database.after_migration().await?;
    kek::login_key(site.config, &path, &Kek::load(&path)?)?;
    say(format_args!("{} rows and the key ({}) are back. Start it with `holdfast up`.", loaded.rows, path.display()));
    Ok(())
}

/// A key that is there already may be the same one; it is never replaced.
fn place_key(path: &Path, kek: &Kek) -> Result<()> {
    if !path.exists() {
        return Ok(kek.write_new(path, &mut rand::rng())?);
    }
    let there = Kek::load(path)?;
    if Opener::from_kek(&there).public_key() != Opener::from_kek(kek).public_key() {
        bail!("{} holds another key: move it away, or choose a new data folder", path.display());
    }
    Ok(())
}

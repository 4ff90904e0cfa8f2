//! `admin backup`: the database and the key, encrypted, in one file. With it and its identity a new machine is the old one.

use super::Site;
use crate::logging::say;
use crate::{kek, own_copy};
use anyhow::Result;
use std::path::Path;

pub async fn run(site: &Site<'_>, to: &Path, recipients: &[String]) -> Result<()> {
    let store = site.database.store().await?;
    let (kek, _) = kek::open(&kek::path(site.config, site.data_dir)?, &store).await?;
    let pool = site.database.owner_pool().await?;
    own_copy::write_encrypted(&pool, &kek, to, recipients).await?;
    say(format_args!(
        "{} holds the database and the key. Keep it, and the identity that opens it, elsewhere.",
        to.display()
    ));
    Ok(())
}

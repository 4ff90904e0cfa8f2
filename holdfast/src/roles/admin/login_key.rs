//! `admin login-key`: the file that the api needs for two-factor log-in, made where the key file is.

use super::Site;
use crate::kek;
use crate::logging::say;
use anyhow::Result;

pub async fn run(site: &Site<'_>) -> Result<()> {
    let store = site.database.store().await?;
    let path = kek::path(site.config, site.data_dir)?;
    let (kek, _) = kek::open(&path, &store).await?;
    let file = kek::login_key(site.config, &path, &kek)?;
    say(format_args!("{} is there. Give it to the api as `accounts.login_key_file`.", file.display()));
    Ok(())
}

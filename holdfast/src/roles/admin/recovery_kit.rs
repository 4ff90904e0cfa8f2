//! `admin recovery-kit`: a team's keys on one page, for opening its backups without Holdfast.

use super::Site;
use crate::kek;
use crate::logging::say;
use anyhow::{Context, Result};
use holdfast_domain::ids::TeamId;
use holdfast_store::{Access, rows};
use holdfast_vault::recovery_kit::RecoveryKit;
use holdfast_vault::team_keys::StoredTeamKey;
use holdfast_vault::{Opener, SealContext, SealedColumn};
use secrecy::ExposeSecret;

pub async fn run(site: &Site<'_>, team: i64) -> Result<()> {
    let store = site.database.store().await?;
    let (kek, _) = kek::open(&kek::path(site.config, site.data_dir)?, &store).await?;
    let opener = Opener::from_kek(&kek);
    let tx = store.for_team(&Access::system(TeamId(team), "the operator prints a recovery kit")).await?;
    let row = tx.users().team().await?.with_context(|| format!("there is no team {team}"))?;
    let newest = async |purpose: &'static str| {
        tx.team_keys().newest(purpose).await?.with_context(|| format!("team {team} has no key of purpose {purpose}"))
    };
    let (ssh, age, mac) = (newest("ssh").await?, newest("age").await?, newest("mac").await?);
    let identity = stored(&age).open_text(&opener)?;
    let place = SealContext::new(TeamId(team), SealedColumn::TeamKey, mac.seal_id);
    let mac_key = opener.open(&place, &mac.sealed)?;
    let kit = RecoveryKit {
        team_name: &row.name,
        team_uuid: row.uuid,
        age_recipient: &age.public,
        age_identity: &identity,
        mac_key: mac_key.expose_secret(),
        ssh_public: &ssh.public,
    };
    say(kit.render().expose_secret());
    Ok(())
}

fn stored(row: &rows::team_keys::Model) -> StoredTeamKey<'_> {
    StoredTeamKey { team_id: TeamId(row.team_id), version: row.version, seal_id: row.seal_id, sealed: &row.sealed }
}

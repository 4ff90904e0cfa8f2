//! `admin create-user`: a person with a team of their own and its keys. The password comes by standard input.

use super::Site;
use crate::kek;
use crate::logging::say;
use anyhow::{Context, Result, bail};
use holdfast_domain::schedule::parse_zone;
use holdfast_domain::text::LABEL;
use holdfast_store::repositories::team_keys::NewKeyRow;
use holdfast_store::system::{AccountOutcome, NewAccount};
use holdfast_vault::{Kek, Opener, Sealer, password, team_keys};
use serde_json::json;
use std::io::Read;
use validator::ValidateEmail;
use zeroize::Zeroizing;

/// As the API allows.
const EMAIL_MAX_BYTES: usize = 255;
/// More is no password.
const INPUT_MAX_BYTES: u64 = 4096;

/// What the operator says of the person.
pub struct NewUser {
    pub email: String,
    pub name: String,
    pub timezone: String,
    pub operator: bool,
}

pub async fn run(site: &Site<'_>, new: NewUser) -> Result<()> {
    if !new.email.validate_email() || new.email.len() > EMAIL_MAX_BYTES {
        bail!("{:?} is no e-mail address", new.email);
    }
    let name = LABEL.canonical(&new.name).context("the name cannot be used")?;
    if parse_zone(&new.timezone).is_none() {
        bail!("{:?} is no time zone: give one as Europe/Copenhagen or UTC", new.timezone);
    }
    let password = read_password()?;
    password::check_new(&password).context("choose another password")?;
    let store = site.database.store().await?;
    // The public half is enough; only a database that no start has seen yet needs the file.
    let sealer = match store.vault_key().await? {
        Some(row) => Sealer::from_public_key(&row.public_key)?,
        None => {
            let (kek, _) = kek::open(&kek::path(site.config, site.data_dir)?, &store).await?;
            Sealer::from_public_key(Opener::from_kek(&kek).public_key())?
        }
    };
    let account = NewAccount {
        email: new.email.clone(),
        name,
        password_hash: password::hash(&password, &mut rand::rng())?,
        timezone: new.timezone,
        team_uuid: team_keys::random_uuid(&mut rand::rng()),
        is_operator: new.operator,
    };
    let AccountOutcome::Created { tx, user_id } = store.create_account(account, None).await? else {
        bail!("somebody already has the e-mail address {}", new.email);
    };
    let team_id = tx.team_id();
    let rows = team_keys::generate(&mut rand::rng(), &sealer, team_id).into_iter().map(row).collect();
    tx.team_keys().insert(rows).await?;
    tx.audit_events().record("user.create", &format!("users:{user_id}"), json!({"by": "admin create-user"})).await?;
    tx.commit().await?;
    // Where the key file is, the log-in key belongs beside it; an operator without the file makes people all the same.
    if let Ok(path) = kek::path(site.config, site.data_dir)
        && let Ok(kek) = Kek::load(&path)
    {
        kek::login_key(site.config, &path, &kek)?;
    }
    say(format_args!("user {user_id} with team {team_id} was made"));
    Ok(())
}

fn row(key: team_keys::NewTeamKey) -> NewKeyRow {
    NewKeyRow {
        purpose: key.purpose.as_str().to_owned(),
        version: key.version,
        public: key.public,
        seal_id: key.seal_id,
        sealed: key.sealed,
    }
}

/// One line's end is what `echo` and an editor add; everything else belongs to the password.
fn read_password() -> Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    std::io::stdin()
        .lock()
        .take(INPUT_MAX_BYTES)
        .read_to_string(&mut text)
        .context("the password on standard input")?;
    let end = text.strip_suffix('\n').map(|t| t.strip_suffix('\r').unwrap_or(t).len());
    if let Some(end) = end {
        text.truncate(end);
    }
    if text.is_empty() {
        bail!("there is no password on standard input");
    }
    Ok(text)
}

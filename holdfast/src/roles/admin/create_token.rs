//! `admin create-token`: an API token, printed alone on standard output so that a script can take it.

use super::Site;
use crate::logging::say;
use anyhow::{Context, Result};
use chrono::{DateTime, TimeDelta, Utc};
use holdfast_domain::Abilities;
use holdfast_domain::text::LABEL;
use holdfast_store::Access;
use holdfast_store::repositories::tokens::NewToken;
use holdfast_vault::token::PlainToken;
use secrecy::ExposeSecret;
use serde_json::json;

/// What the operator asks for.
pub struct WantedToken {
    pub email: String,
    pub name: String,
    pub abilities: Vec<String>,
    /// None: it does not end by itself.
    pub expires_in_days: Option<u16>,
}

pub async fn run(site: &Site<'_>, wanted: WantedToken, now: DateTime<Utc>) -> Result<()> {
    let WantedToken { email, name, abilities, expires_in_days } = wanted;
    let abilities = Abilities::parse(abilities.iter().map(|name| name.trim()))?;
    let name = LABEL.canonical(&name).context("the token's name cannot be used")?;
    let expires_at = expires_in_days.map(|days| now + TimeDelta::days(i64::from(days)));
    let store = site.database.store().await?;
    let login = store.find_login(&email).await?.with_context(|| format!("there is no active user {email}"))?;
    let token = PlainToken::generate(&mut rand::rng());
    let tx = store.for_team(&Access::system(login.team_id, "the operator makes a token")).await?;
    let new = NewToken { user_id: login.user_id, name, secret_hash: token.hash().to_vec(), abilities, expires_at };
    let id = tx.tokens().insert(new).await?;
    tx.audit_events().record("token.create", &format!("tokens:{id}"), json!({"by": "admin create-token"})).await?;
    tx.commit().await?;
    say(token.to_wire(id).expose_secret());
    Ok(())
}

//! `admin revoke-token`: the way to take a lost token back.

use super::Site;
use anyhow::{Context, Result, ensure};
use chrono::{DateTime, Utc};
use holdfast_domain::ids::TokenId;
use holdfast_store::Access;
use serde_json::json;

pub async fn run(site: &Site<'_>, email: &str, id: TokenId, now: DateTime<Utc>) -> Result<()> {
    let store = site.database.store().await?;
    let login = store.find_login(email).await?.with_context(|| format!("there is no active user {email}"))?;
    let tx = store.for_team(&Access::system(login.team_id, "the operator revokes a token")).await?;
    ensure!(tx.tokens().revoke(id, now).await?, "{email} has no token {id} that could be revoked");
    tx.audit_events().record("token.revoke", &format!("tokens:{id}"), json!({"by": "admin revoke-token"})).await?;
    tx.commit().await?;
    Ok(())
}

//! Weekly digests that are due: written, sealed, and handed to the mails about accounts in the transaction that says when
//! the next one is due. However many workers look at once, one of them makes it.

use crate::context::WorkerContext;
use crate::digest_text::{self, TASKS_NAMED, TeamWeek};
use holdfast_domain::account_mail::{AccountMailBody, NO_TEAM};
use holdfast_domain::digest;
use holdfast_domain::schedule::parse_zone;
use holdfast_store::repositories::account_mails::SealedMail;
use holdfast_store::repositories::digests::DueDigest;
use holdfast_store::{Access, StoreError};
use holdfast_vault::{SealContext, SealedColumn, Sealer};
use rand::SeedableRng;
use rand::rngs::StdRng;

/// Digests of one round.
const AT_ONCE: i32 = 50;

/// One round.
///
/// # Errors
/// The database failed; what was done stays done.
pub async fn reconcile(context: &WorkerContext) -> Result<(), StoreError> {
    if context.notifier.mailer().is_none() {
        // Another worker may have mail; without any nobody gets a digest.
        return Ok(());
    }
    for due in context.store.due_digests(context.clock.now(), AT_ONCE).await? {
        make(context, &due).await?;
    }
    Ok(())
}

async fn make(context: &WorkerContext, due: &DueDigest) -> Result<(), StoreError> {
    let Some(zone) = parse_zone(&due.timezone).or_else(|| parse_zone("UTC")) else { return Ok(()) };
    let week = (digest::begins(due.due_at, zone), due.due_at);
    let mut teams = Vec::new();
    for team in due.teams() {
        let tx = context.store.for_team(&Access::system(team, "weekly digests")).await?;
        if let Some(figures) = tx.digests().week(week.0, week.1).await? {
            teams.push(TeamWeek { figures, tasks: tx.digests().last_successes(TASKS_NAMED).await? });
        }
    }
    let text = digest_text::write(&teams, week, zone.name());
    let Some(mail) = seal(context, text) else {
        tracing::error!(user = due.user_id, "a weekly digest could not be sealed");
        return Ok(());
    };
    let next_at = digest::next_after(context.clock.now(), zone, Some(due.due_at));
    context.store.add_digest(due, next_at, mail).await
}

fn seal(context: &WorkerContext, text: String) -> Option<SealedMail> {
    let mut seed = [0; 32];
    for part in seed.chunks_mut(8) {
        part.copy_from_slice(&context.random.bits().to_be_bytes());
    }
    let mut rng = StdRng::from_seed(seed);
    let seal_id = holdfast_vault::team_keys::random_uuid(&mut rng);
    let body = serde_json::to_vec(&AccountMailBody { text: Some(text), ..AccountMailBody::default() }).ok()?;
    let sealer = Sealer::from_public_key(context.opener.public_key()).ok()?;
    let place = SealContext::new(NO_TEAM, SealedColumn::AccountMailPayload, seal_id);
    Some(SealedMail { seal_id, payload: sealer.seal(&place, &body, &mut rng) })
}

//! Mails about accounts that are due: opened, written, sent, forgotten. The queue's job is a nudge; a loop finds what it
//! missed. A mail is taken before it is sent and given again later: it may come twice, and never not at all.

use crate::account_letter::write;
use crate::context::WorkerContext;
use holdfast_domain::account_mail::{AccountMailBody, AccountMailKind, NO_TEAM};
use holdfast_domain::ids::AccountMailId;
use holdfast_notify::Retry;
use holdfast_notify::email::Letter;
use holdfast_store::StoreError;
use holdfast_store::repositories::account_mails::DueMail;
use holdfast_vault::{SealContext, SealedColumn};
use secrecy::ExposeSecret;

/// Mails of one round.
const AT_ONCE: i32 = 20;
/// A link is dead by then.
const TRIES_MAX: i32 = 7;

/// Sends what is due.
///
/// # Errors
/// The database failed.
pub async fn send_account_mails(context: &WorkerContext) -> Result<(), StoreError> {
    if context.notifier.mailer().is_none() {
        // Another worker may have mail; what waits here for nobody is forgotten within a day.
        return Ok(());
    }
    for mail in context.store.take_account_mails(AT_ONCE).await? {
        let id = AccountMailId(mail.mail_id);
        if let Some(is_sent) = send(context, &mail).await {
            context.store.end_account_mail(id, is_sent).await?;
        }
    }
    Ok(())
}

/// Whether it was sent (true), never will be (false), or is to be tried again.
async fn send(context: &WorkerContext, mail: &DueMail) -> Option<bool> {
    let id = mail.mail_id;
    if mail.verdict == "drop" {
        return Some(false);
    }
    let Some((kind, body)) = open(context, mail) else {
        tracing::error!(mail = id, "a mail about an account does not open and is dropped");
        return Some(false);
    };
    let Some(written) = write(kind, mail.verdict == "taken", &body) else { return Some(false) };
    let own_id = format!("account-mail-{id}");
    let letter = Letter { to: &mail.email, subject: written.subject, text: &written.text, id: Some(&own_id) };
    match context.notifier.mailer()?.post(&letter).await {
        Ok(()) => Some(true),
        Err(error) if matches!(error.retry, Retry::Final) || mail.attempts >= TRIES_MAX => {
            tracing::warn!(mail = id, %error, "a mail about an account was not sent and is dropped");
            Some(false)
        }
        Err(error) => {
            tracing::info!(mail = id, %error, attempts = mail.attempts, "a mail about an account is tried again");
            None
        }
    }
}

fn open(context: &WorkerContext, mail: &DueMail) -> Option<(AccountMailKind, AccountMailBody)> {
    let kind = AccountMailKind::parse(&mail.kind)?;
    let place = SealContext::new(NO_TEAM, SealedColumn::AccountMailPayload, mail.seal_id);
    let text = context.opener.open_text(&place, &mail.sealed_payload).ok()?;
    Some((kind, serde_json::from_str(text.expose_secret()).ok()?))
}

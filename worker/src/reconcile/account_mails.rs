//! Mails about accounts whose job was lost, or that are to be tried again.

use crate::context::WorkerContext;
use crate::jobs::send_account_mail::send_account_mails;
use holdfast_store::StoreError;

/// One round.
///
/// # Errors
/// The database failed.
pub async fn reconcile(context: &WorkerContext) -> Result<(), StoreError> {
    send_account_mails(context).await
}

//! Other rows that a body names: a foreign id gets the same sentence as an absent one.

use crate::extract::id::MAX_ID;
use crate::problem::{FieldErrors, Problem};
use holdfast_domain::ids::RemoteServerId;
use holdfast_store::TeamTx;

/// 422 for every id that is not the team's.
///
/// # Errors
/// As said, or the database failed.
pub(super) async fn check(
    tx: &TeamTx,
    server: Option<i64>,
    destinations: Option<&[i64]>,
    is_list: bool,
) -> Result<(), Problem> {
    let mut errors = FieldErrors::default();
    if let Some(id) = server
        && !has_server(tx, id).await?
    {
        errors.push("remote_server_id", "The selected remote server is invalid.".to_owned());
    }
    if let Some(ids) = destinations {
        let can_exist = ids.iter().all(|id| (1..=MAX_ID).contains(id));
        if !can_exist || tx.backup_destinations().count_of(ids).await? != ids.len() as u64 {
            let field = if is_list { "backup_destination_ids" } else { "backup_destination_id" };
            errors.push(field, "The selected backup destination is invalid.".to_owned());
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Problem::validation(errors)) }
}

async fn has_server(tx: &TeamTx, id: i64) -> Result<bool, Problem> {
    if !(1..=MAX_ID).contains(&id) {
        return Ok(false);
    }
    Ok(tx.remote_servers().find(RemoteServerId(id)).await?.is_some())
}

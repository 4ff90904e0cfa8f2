//! Other rows that a body names: a foreign id gets the same sentence as an absent one.

use super::body::Body;
use super::scripts_body::{self, TaskScriptBody};
use crate::extract::id::MAX_ID;
use crate::problem::{FieldErrors, Problem};
use holdfast_domain::ids::RemoteServerId;
use holdfast_store::TeamTx;

/// What a body names; what it does not name is not looked at.
#[derive(Clone, Copy, Default)]
pub(super) struct References<'a> {
    pub server: Option<i64>,
    pub destinations: Option<&'a [i64]>,
    /// Whether the destinations came as a list: the field that an error names.
    pub is_list: bool,
    pub tags: Option<&'a [i64]>,
    pub streams: Option<&'a [i64]>,
    pub scripts: Option<&'a [TaskScriptBody]>,
}

impl<'a> References<'a> {
    /// Of a task's body, whose destinations were read before.
    pub fn of(body: &'a Body, destinations: Option<&'a [i64]>) -> Self {
        Self {
            server: body.remote_server_id,
            destinations,
            is_list: body.backup_destination_ids.is_some(),
            tags: body.tags.as_deref(),
            streams: body.notification_streams.as_deref(),
            scripts: body.scripts.as_deref(),
        }
    }

    /// 422 for every id that is not the team's.
    ///
    /// # Errors
    /// As said, or the database failed.
    pub async fn check(&self, tx: &TeamTx) -> Result<(), Problem> {
        let mut errors = FieldErrors::default();
        if let Some(id) = self.server
            && !has_server(tx, id).await?
        {
            errors.push("remote_server_id", "The selected remote server is invalid.".to_owned());
        }
        if let Some(ids) = self.destinations
            && !(can_exist(ids) && tx.backup_destinations().count_of(ids).await? == ids.len() as u64)
        {
            let field = if self.is_list { "backup_destination_ids" } else { "backup_destination_id" };
            errors.push(field, "The selected backup destination is invalid.".to_owned());
        }
        if let Some(ids) = self.tags
            && !(can_exist(ids) && tx.task_attachments().count_tags(ids).await? == ids.len() as u64)
        {
            errors.push("tags", "The selected tags is invalid.".to_owned());
        }
        if let Some(ids) = self.streams
            && !(can_exist(ids) && tx.task_attachments().count_streams(ids).await? == ids.len() as u64)
        {
            errors.push("notification_streams", "The selected notification streams is invalid.".to_owned());
        }
        if let Some(scripts) = self.scripts {
            scripts_body::check(tx, scripts, &mut errors).await?;
        }
        if errors.is_empty() { Ok(()) } else { Err(Problem::validation(errors)) }
    }
}

fn can_exist(ids: &[i64]) -> bool {
    ids.iter().all(|id| (1..=MAX_ID).contains(id))
}

async fn has_server(tx: &TeamTx, id: i64) -> Result<bool, Problem> {
    if !(1..=MAX_ID).contains(&id) {
        return Ok(false);
    }
    Ok(tx.remote_servers().find(RemoteServerId(id)).await?.is_some())
}

//! `PATCH /api/backups/{id}`

use super::keeping;
use crate::extract::id::found;
use crate::extract::{Authorized, Id, OurBody, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::validation::{Fields, Presence};
use crate::views::backup::BackupView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use holdfast_domain::Ability;
use holdfast_domain::ids::BackupId;
use holdfast_store::repositories::retention::rule_of;
use holdfast_store::{Changes, TeamTx};
use serde_json::json;
use utoipa::ToSchema;

/// How long a backup lies in the bin where its task's rule knows none: 7 days.
const BIN_SECS: i64 = 604_800;

/// What is to become of a backup.
#[derive(ToSchema)]
#[schema(as = BackupUpdate)]
pub(crate) struct Body {
    /// Whether it stays whatever the rule says.
    held: Option<bool>,
    /// True: into the recycle bin (needs `delete-backups` too). False: out of it; it is then held unless `held` is sent.
    recycled: Option<bool>,
    /// The task's label: only where the last good backup goes.
    confirm: Option<String>,
}

impl Body {
    fn read(fields: &mut Fields) -> Self {
        let body = Self {
            held: fields.boolean("held", Presence::Optional),
            recycled: fields.boolean("recycled", Presence::Optional),
            confirm: fields.string("confirm", Presence::Optional),
        };
        if body.held == Some(true) && body.recycled == Some(true) {
            fields.fail_invalid("recycled", &"what is held does not go into the recycle bin");
        }
        fields.refuse_unknown();
        body
    }
}

/// Holds a backup, puts it into the recycle bin, or brings it back. Repeating a request changes nothing more.
#[utoipa::path(patch, path = "/api/backups/{id}", tag = "backups", params(("id" = u64, Path)), request_body = Body,
    responses((status = 200, body = Data<BackupView>), (status = 409, body = crate::problem::ProblemBody),
        (status = 422, body = crate::problem::ProblemBody)))]
pub async fn update_backup(
    State(state): State<ApiState>,
    auth: Authorized<may::UpdateBackups>,
    Id(id): Id<BackupId>,
    OurBody(mut fields): OurBody,
) -> Result<Json<Data<BackupView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    found::<BackupId, _>(tx.backups().find(id).await?)?;
    let body = Body::read(&mut fields);
    fields.finish()?;
    if body.recycled == Some(true) && !auth.access.allows(Ability::DeleteBackups) {
        return Err(Problem::missing_ability(Ability::DeleteBackups));
    }
    let changes = apply(&tx, id, &body).await?;
    if !changes.is_empty() {
        tx.audit_events().record_change("backup.update", &format!("backups:{id}"), changes, json!({})).await?;
    }
    let row = found::<BackupId, _>(tx.backups().find(id).await?)?;
    let parts = tx.backups().parts(id).await?;
    tx.commit().await?;
    Ok(data(BackupView::whole(row, parts)))
}

/// What changed.
async fn apply(tx: &TeamTx, id: BackupId, body: &Body) -> Result<Changes, Problem> {
    let locked = keeping::lock(tx, id).await?;
    let was_held = locked.backup.held;
    let mut held = body.held.unwrap_or(was_held);
    let mut moved = 0;
    match body.recycled {
        Some(true) => {
            let going = locked.copies.all_of(id, false);
            if !going.is_empty() {
                locked.refuse(held, body.confirm.as_deref())?;
                let task = tx.backup_tasks().find_any(locked.task).await?;
                let of_rule = task.map_or(0, |task| rule_of(&task).recycle_secs);
                let secs = if of_rule > 0 { of_rule } else { BIN_SECS };
                moved = tx.retention().recycle(&going, secs, true).await?;
            }
        }
        Some(false) => {
            moved = tx.retention().bring_back(id).await?;
            // Else the next prune would take it again.
            held = body.held.unwrap_or(was_held || moved > 0);
        }
        None => {}
    }
    if held != was_held {
        tx.retention().hold(id, held).await?;
    }
    let changes = Changes::default().field_if_changed("held", was_held, held);
    Ok(match body.recycled.filter(|_| moved > 0) {
        Some(recycled) => changes.field("recycled", !recycled, recycled),
        None => changes,
    })
}

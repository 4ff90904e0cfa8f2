//! `POST /api/backup-tasks/{id}/prune`
//!
//! What goes is marked here, in one transaction, and is not readable any more; a worker deletes the objects.

use crate::extract::id::found;
use crate::extract::{Authorized, Id, OurBody, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::validation::Presence;
use crate::views::keeping::Pruned;
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::BackupTaskId;
use holdfast_domain::retention::{Rule, Verdict};
use holdfast_store::repositories::retention::rule_of;
use serde_json::json;
use utoipa::ToSchema;

/// What to prune.
#[derive(ToSchema)]
#[schema(as = PruneRequest)]
#[expect(dead_code, reason = "read field by field; the struct is its description")]
pub(crate) struct Body {
    /// Instead of the task's limits: what is older goes. Its floor and its recycle bin hold all the same.
    older_than_secs: Option<i64>,
    /// Only count.
    dry_run: Option<bool>,
}

/// Applies the task's rule now, or an age. Never takes the newest verified copy of a destination, the newest without
/// warnings, or one without a newer verified copy beside it.
#[utoipa::path(post, path = "/api/backup-tasks/{id}/prune", tag = "backup-tasks", params(("id" = u64, Path)),
    request_body = Option<Body>,
    responses((status = 200, body = Pruned), (status = 422, body = crate::problem::ProblemBody)))]
pub async fn prune_backup_task(
    State(state): State<ApiState>,
    auth: Authorized<may::DeleteBackups>,
    Id(id): Id<BackupTaskId>,
    OurBody(mut fields): OurBody,
) -> Result<Json<Pruned>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let task = found::<BackupTaskId, _>(tx.backup_tasks().find(id).await?)?;
    let older_than = fields.integer("older_than_secs", Presence::Optional);
    if older_than.is_some_and(|secs| secs < 1) {
        fields.fail_invalid("older_than_secs", &"it must be at least 1");
    }
    let is_dry = fields.boolean("dry_run", Presence::Optional).unwrap_or(false);
    fields.refuse_unknown();
    fields.finish()?;
    let stored = rule_of(&task);
    let rule = match older_than {
        Some(secs) => Rule { keep_last: 0, max_age_secs: Some(secs), ..stored },
        None => stored,
    };
    if is_dry {
        let planned = tx.retention().copies(id).await?.plan(&rule);
        let count = |goes: fn(&Verdict) -> bool| planned.iter().filter(|p| goes(&p.decision.verdict)).count();
        return Ok(Json(Pruned {
            deleted_count: count(|verdict| matches!(verdict, Verdict::Delete(_))),
            recycled_count: count(|verdict| matches!(verdict, Verdict::Recycle(_))),
            kept_count: count(Verdict::keeps),
            dry_run: true,
        }));
    }
    let applied = tx.retention().apply(id, &rule).await?;
    tx.prunes().request(id, None).await?;
    let details = json!({"recycled": applied.recycled, "deleted": applied.deleted, "rule": rule});
    tx.audit_events().record("backup_task.prune", &format!("backup_tasks:{id}"), details).await?;
    tx.commit().await?;
    let (recycled_count, deleted_count) = (applied.recycled, applied.deleted);
    let kept_count = applied.planned.len() - recycled_count - deleted_count;
    Ok(Json(Pruned { deleted_count, recycled_count, kept_count, dry_run: false }))
}

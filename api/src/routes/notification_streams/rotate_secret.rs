//! `POST /api/notification-streams/{id}/rotate-secret`
//!
//! The receiver must never be without a signature that it knows: the secret from before goes on signing beside the new
//! one for a day.

use super::SECRETS;
use crate::audit::secrets;
use crate::extract::id::found;
use crate::extract::{Authorized, Id, may};
use crate::problem::{Problem, ProblemBody};
use crate::sealing::RowSeal;
use crate::state::ApiState;
use crate::stream_rules::signing_secret;
use crate::views::notification_stream::NotificationStreamView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use chrono::TimeDelta;
use holdfast_domain::ids::NotificationStreamId;
use holdfast_domain::notification::StreamKind;
use holdfast_store::Changes;
use holdfast_vault::SealedColumn;
use serde_json::json;

/// How long the secret from before signs too.
const OVERLAP: TimeDelta = TimeDelta::hours(24);

/// Makes another signing secret for a webhook, shown this once as `secret`. For 24 hours the one before signs too: every
/// request has both signatures. The one before that is dead at once.
#[utoipa::path(post, path = "/api/notification-streams/{id}/rotate-secret", tag = "notification-streams",
    params(("id" = u64, Path)),
    responses((status = 200, body = Data<NotificationStreamView>), (status = 409, body = ProblemBody),
        (status = 503, body = ProblemBody)))]
pub async fn rotate_stream_secret(
    State(state): State<ApiState>,
    auth: Authorized<may::UpdateNotificationStreams>,
    Id(id): Id<NotificationStreamId>,
) -> Result<Json<Data<NotificationStreamView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let mut row = found::<NotificationStreamId, _>(tx.notification_streams().find_for_update(id).await?)?;
    if StreamKind::parse(&row.r#type) != Some(StreamKind::Webhook) {
        return Err(Problem::conflict("no_signing_secret", "Only a webhook has a signing secret."));
    }
    let stored = row.clone();
    let secret = state.with_rng(signing_secret);
    let mut seal = RowSeal::new(&state, auth.access.team_id(), row.seal_id);
    row.sealed_previous_second_value = row.sealed_second_value.take();
    row.sealed_second_value = seal.seal(SealedColumn::StreamSecondValue, Some(&secret)).await?;
    row.previous_until = row.sealed_previous_second_value.is_some().then(|| state.now() + OVERLAP);
    row.updated_at = state.now();
    let row = tx.notification_streams().save(row).await?;
    let changes = secrets(Changes::default(), Some(&stored), Some(&row), SECRETS);
    let details = json!({"previous_until": row.previous_until});
    let subject = format!("notification_streams:{id}");
    tx.audit_events().record_change("notification_stream.rotate_secret", &subject, changes, details).await?;
    tx.commit().await?;
    Ok(data(NotificationStreamView::of(row).with_secret(Some(secret))))
}

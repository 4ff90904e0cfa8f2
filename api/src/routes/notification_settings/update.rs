//! `PUT /api/notification-settings`

use super::NotificationSettingsView;
use crate::extract::{Authorized, OurBody, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::validation::Presence;
use crate::views::{Data, data, time};
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, TimeDelta, Utc};
use holdfast_store::Changes;
use serde_json::json;
use utoipa::ToSchema;

/// Quiet mode must end, and within the time in which somebody remembers it.
const QUIET_MAX: TimeDelta = TimeDelta::days(366);

/// How the team is to be told.
#[derive(ToSchema)]
#[schema(as = NotificationSettingsRequest)]
#[expect(dead_code, reason = "read field by field; the struct is its description")]
pub(crate) struct Body {
    /// RFC 3339, in the future and at most 366 days away; null ends quiet mode.
    quiet_until: Option<String>,
}

/// Begins quiet mode, changes its end, or ends it. What it holds back is listed with state `suppressed` and can be sent
/// again; the alarm on absence is never held back.
#[utoipa::path(put, path = "/api/notification-settings", tag = "notification-streams", request_body = Body,
    responses((status = 200, body = Data<NotificationSettingsView>), (status = 422, body = crate::problem::ProblemBody)))]
pub async fn update_notification_settings(
    State(state): State<ApiState>,
    auth: Authorized<may::UpdateNotificationStreams>,
    OurBody(mut fields): OurBody,
) -> Result<Json<Data<NotificationSettingsView>>, Problem> {
    let now = state.now();
    let is_sent = fields.sent("quiet_until");
    let text = fields.string("quiet_until", Presence::Optional);
    let read = text.map(|text| until(&text, now)).transpose();
    let quiet_until = read.unwrap_or_else(|sentence| {
        fields.fail("quiet_until", sentence);
        None
    });
    if !is_sent {
        fields.fail("quiet_until", "The quiet until field must be present.");
    }
    fields.refuse_unknown();
    fields.finish()?;
    let tx = state.store().for_team(&auth.access).await?;
    let before = tx.deliveries().quiet_until(now).await?;
    tx.deliveries().set_quiet_until(quiet_until).await?;
    let shown = time::utc_or_null;
    let changes = Changes::default().field("quiet_until", shown(before), shown(quiet_until));
    let subject = format!("teams:{}", tx.team_id());
    tx.audit_events().record_change("notification_settings.update", &subject, changes, json!({})).await?;
    tx.commit().await?;
    Ok(data(NotificationSettingsView::of(quiet_until)))
}

fn until(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, &'static str> {
    let at = DateTime::parse_from_rfc3339(text).map_err(|_| "The quiet until field must be an RFC 3339 time.")?;
    let at = at.with_timezone(&Utc);
    match at.signed_duration_since(now) {
        left if left <= TimeDelta::zero() => Err("The quiet until field must be a time after now."),
        left if left > QUIET_MAX => Err("The quiet until field must be a time within 366 days."),
        _ => Ok(at),
    }
}

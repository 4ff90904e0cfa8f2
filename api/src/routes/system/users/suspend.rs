//! `POST /api/system/users/{id}/suspend`

use super::{problem, tell_both};
use crate::extract::{Authorized, Id, OurBody, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::validation::{Fields, Presence};
use crate::views::person::PersonView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use holdfast_domain::ids::{TeamId, UserId};
use holdfast_store::Changes;
use holdfast_store::operator::NewSuspension;
use serde_json::json;
use utoipa::ToSchema;
use validator::Validate;

/// Why, and for how long.
#[derive(Default, Validate, ToSchema)]
#[schema(as = SuspensionRequest)]
pub(crate) struct Body {
    /// For operators, and in the audit log of the person's team.
    #[validate(length(max = 255))]
    reason: Option<String>,
    /// RFC 3339; it is lifted then. Without it, until somebody lifts it.
    until: Option<String>,
    /// For operators alone.
    note: Option<String>,
}

impl Body {
    fn read(fields: &mut Fields) -> Self {
        let body = Self {
            reason: fields.string("reason", Presence::Required),
            until: fields.parsed("until", Presence::Optional, instant),
            note: fields.text("note", Presence::Optional),
        };
        fields.check(&body);
        fields.refuse_unknown();
        body
    }
}

fn instant(raw: &str) -> Result<String, &'static str> {
    DateTime::parse_from_rfc3339(raw.trim())
        .map(|at| at.with_timezone(&Utc).to_rfc3339())
        .map_err(|_| "it must be an RFC 3339 time, as 2026-12-31T00:00:00Z")
}

/// Suspends a person at once: sessions end, tokens answer 401, queued runs of their team end as failed
/// (`not_authorised`), running ones are asked to stop, and schedules make no runs. Backups stay.
#[utoipa::path(post, path = "/api/system/users/{id}/suspend", tag = "system", params(("id" = u64, Path)),
    request_body = Body, responses((status = 200, body = Data<PersonView>), (status = 409, body = crate::problem::ProblemBody),
        (status = 422, body = crate::problem::ProblemBody)))]
pub async fn suspend_user(
    State(state): State<ApiState>,
    auth: Authorized<may::ManageUsers>,
    Id(id): Id<UserId>,
    OurBody(mut fields): OurBody,
) -> Result<Json<Data<PersonView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let before = super::show_row(&tx, id).await?;
    let body = Body::read(&mut fields);
    let until = body.until.as_deref().and_then(|text| DateTime::parse_from_rfc3339(text).ok());
    let until = until.map(|at| at.with_timezone(&Utc));
    if until.is_some_and(|at| at <= state.now()) {
        fields.fail("until", "The until field must be in the future.");
    }
    fields.finish()?;
    let reason = body.reason.unwrap_or_default();
    let new = NewSuspension { reason: reason.clone(), note: body.note.clone(), until };
    tx.operator().suspend(id, new).await?.map_err(problem)?;
    let view = super::show(&tx, id).await?;
    let theirs = json!({"reason": reason, "until": body.until});
    let own = json!({"reason": reason, "until": body.until, "note": body.note});
    let (subject, changes) = (format!("users:{id}"), Changes::default().field("is_suspended", false, true));
    let team = before.team_id.map(TeamId);
    tell_both(tx, team, ("user.suspend", &subject), changes, (own, theirs)).await?;
    Ok(data(view))
}

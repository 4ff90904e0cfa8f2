//! `PUT /api/system/teams/{id}/limits`

use crate::extract::id::found;
use crate::extract::{Authorized, Id, OurBody, may};
use crate::problem::Problem;
use crate::routes::system::users::tell_both;
use crate::state::ApiState;
use crate::validation::Presence;
use crate::views::person::TeamView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use holdfast_domain::Limit;
use holdfast_domain::ids::TeamId;
use holdfast_store::Changes;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// The team's own limits, all of them: what is absent follows the configuration. 0 = no limit.
#[derive(ToSchema)]
#[schema(as = TeamLimitsRequest)]
#[expect(dead_code, reason = "read field by field; the struct is its description")]
pub(crate) struct Body {
    members: Option<u64>,
    remote_servers: Option<u64>,
    backup_destinations: Option<u64>,
    backup_tasks: Option<u64>,
    notification_streams: Option<u64>,
    tokens: Option<u64>,
    runs_at_once: Option<u64>,
    min_interval_secs: Option<u64>,
    stored_bytes: Option<u64>,
    notifications_per_hour: Option<u64>,
}

/// Sets what a team may have. What it has already stays, also where that is more.
#[utoipa::path(put, path = "/api/system/teams/{id}/limits", tag = "system", params(("id" = u64, Path)), request_body = Body,
    responses((status = 200, body = Data<TeamView>), (status = 422, body = crate::problem::ProblemBody)))]
pub async fn set_team_limits(
    State(state): State<ApiState>,
    auth: Authorized<may::ManageUsers>,
    Id(id): Id<TeamId>,
    OurBody(mut fields): OurBody,
) -> Result<Json<Data<TeamView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let before = found::<TeamId, _>(tx.operator().team(id).await?)?;
    let mut limits = Map::new();
    for limit in Limit::ALL {
        let name = limit.as_str();
        match fields.integer(name, Presence::Optional) {
            Some(number) if (0..=crate::extract::id::MAX_ID).contains(&number) => {
                limits.insert(name.to_owned(), number.into());
            }
            Some(_) => fields.fail(name, format!("The {} field must be at least 0.", name.replace('_', " "))),
            None => {}
        }
    }
    fields.refuse_unknown();
    fields.finish()?;
    let limits = Value::Object(limits);
    tx.operator().set_limits(id, limits.clone()).await?;
    let changes = Changes::between(&before.limits, &limits);
    tell_both(tx, Some(id), ("team.limits", &format!("teams:{id}")), changes, (json!({}), json!({}))).await?;
    let tx = state.store().for_team(&auth.access).await?;
    let row = found::<TeamId, _>(tx.operator().team(id).await?)?;
    let (_, view) = super::view(&state, tx, row).await?;
    Ok(data(view))
}

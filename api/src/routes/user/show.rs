//! `GET /api/user`

use crate::extract::id::found;
use crate::extract::{Authorized, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::user::{UserCounts, UserView};
use crate::views::{Data, data, time};
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use holdfast_domain::ids::UserId;
use holdfast_domain::schedule::instant_of;
use holdfast_store::TeamTx;

/// The person behind the token.
#[utoipa::path(get, path = "/api/user", tag = "user", responses((status = 200, body = Data<UserView>)))]
pub async fn show_user(
    State(state): State<ApiState>,
    auth: Authorized<may::AnyToken>,
) -> Result<Json<Data<UserView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    Ok(data(view(&tx, auth.user_id, state.now()).await?))
}

/// The person as the wire shows them, read within `tx`.
pub(in crate::routes) async fn view(tx: &TeamTx, user_id: UserId, now: DateTime<Utc>) -> Result<UserView, Problem> {
    let user = found::<UserId, _>(tx.users().find(user_id).await?)?;
    let zone = time::zone(&user.timezone);
    let midnight = now.with_timezone(&zone).date_naive().and_time(chrono::NaiveTime::MIN);
    let (logs, logs_today) = tx.task_logs().count_finished(instant_of(midnight, zone).unwrap_or(now)).await?;
    let counts = UserCounts {
        tasks: tx.backup_tasks().count().await?,
        running: tx.backup_tasks().count_running().await?,
        logs,
        logs_today,
        servers: tx.remote_servers().count().await?,
        destinations: tx.backup_destinations().count().await?,
        tags: tx.tags().count().await?,
        streams: tx.task_attachments().count_all_streams().await?,
    };
    Ok(UserView::of(&user, &counts))
}

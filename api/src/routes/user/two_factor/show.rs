//! `GET /api/user/two-factor`

use crate::accounts::second_factor::needed;
use crate::extract::{Authorized, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::{Data, data, time};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

/// Whether a second factor is asked for.
#[derive(Serialize, ToSchema)]
pub struct TwoFactorView {
    is_on: bool,
    #[schema(required)]
    since: Option<String>,
    recovery_codes_left: i64,
    /// Whether this installation can do it at all.
    is_possible: bool,
}

/// Whether your second factor is asked for.
#[utoipa::path(get, path = "/api/user/two-factor", tag = "user", responses((status = 200, body = Data<TwoFactorView>)))]
pub async fn show_two_factor(
    State(state): State<ApiState>,
    auth: Authorized<may::Session>,
) -> Result<Json<Data<TwoFactorView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let row = needed(&tx, auth.user_id).await?;
    Ok(data(TwoFactorView {
        is_on: row.is_some(),
        since: time::utc_or_null(row.and_then(|row| row.confirmed_at)),
        recovery_codes_left: tx.two_factors().codes_left(auth.user_id).await?,
        is_possible: state.login_key().is_some(),
    }))
}

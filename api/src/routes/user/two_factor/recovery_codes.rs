//! `POST /api/user/two-factor/recovery-codes`

use super::confirm::RecoveryCodes;
use crate::accounts::second_factor::{needed, new_codes};
use crate::extract::{Authorized, may};
use crate::problem::{Problem, ProblemBody};
use crate::state::ApiState;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use serde_json::json;

/// Makes ten new recovery codes, shown this once; all old ones are dead.
#[utoipa::path(post, path = "/api/user/two-factor/recovery-codes", tag = "user",
    responses((status = 200, body = Data<RecoveryCodes>), (status = 409, body = ProblemBody),
        (status = 503, body = ProblemBody)))]
pub async fn renew_recovery_codes(
    State(state): State<ApiState>,
    auth: Authorized<may::Session>,
) -> Result<Json<Data<RecoveryCodes>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    if needed(&tx, auth.user_id).await?.is_none() {
        return Err(Problem::conflict("two_factor_is_off", "Two-factor log-in is off."));
    }
    let codes = new_codes(&state, &tx, auth.user_id).await?;
    tx.audit_events().record("two_factor.codes", &format!("users:{}", auth.user_id), json!({})).await?;
    tx.commit().await?;
    Ok(data(RecoveryCodes::new(codes)))
}

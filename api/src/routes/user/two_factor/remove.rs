//! `DELETE /api/user/two-factor`

use crate::accounts::log_in::renew;
use crate::accounts::{Visitor, mails};
use crate::extract::id::found;
use crate::extract::{Authorized, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::views::Message;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use holdfast_domain::account_mail::AccountMailKind;
use holdfast_domain::ids::UserId;
use holdfast_store::Changes;
use serde_json::json;

/// Turns two-factor log-in off, with its recovery codes. The session must be fresh, and a fresh session had its code.
#[utoipa::path(delete, path = "/api/user/two-factor", tag = "user", responses((status = 200, body = Message)))]
pub async fn remove_two_factor(
    State(state): State<ApiState>,
    auth: Authorized<may::Session>,
    visitor: Visitor,
) -> Result<(HeaderMap, Json<Message>), Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let was_on = tx.two_factors().find(auth.user_id).await?.is_some_and(|row| row.confirmed_at.is_some());
    tx.two_factors().remove(auth.user_id).await?;
    tx.sessions().end_all(auth.user_id, auth.access.actor().session_id()).await?;
    let headers = renew(&state, &tx).await?;
    if was_on {
        let (subject, changes) =
            (format!("users:{}", auth.user_id), Changes::default().field("two_factor", "on", "off"));
        tx.audit_events().record_change("two_factor.off", &subject, changes, json!({})).await?;
        let user = found::<UserId, _>(tx.users().find(auth.user_id).await?)?;
        let body = mails::act(&state, &visitor);
        mails::tell(&state, &tx, AccountMailKind::TwoFactorOff, &user.email, &body).await?;
    }
    tx.commit().await?;
    Ok((headers, Json(Message { message: "Two-factor log-in is off.".to_owned() })))
}

//! `POST /api/user/two-factor/confirm`

use crate::accounts::log_in::renew;
use crate::accounts::{Visitor, mails, second_factor};
use crate::extract::id::found;
use crate::extract::{Authorized, OurBody, may};
use crate::problem::{Problem, ProblemBody};
use crate::routes::auth::two_factor::Body;
use crate::state::ApiState;
use crate::validation::Presence;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use holdfast_domain::account_mail::AccountMailKind;
use holdfast_domain::ids::UserId;
use holdfast_store::Changes;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

/// What lets you in without the app.
#[derive(Serialize, ToSchema)]
pub struct RecoveryCodes {
    /// Each works once: shown this once.
    recovery_codes: Vec<String>,
}

impl RecoveryCodes {
    /// These.
    pub(super) fn new(recovery_codes: Vec<String>) -> Self {
        Self { recovery_codes }
    }
}

/// Turns two-factor log-in on, with a code of the app as proof that it has the secret. Ends all other sessions; this one
/// gets another cookie.
#[utoipa::path(post, path = "/api/user/two-factor/confirm", tag = "user", request_body = Body,
    responses((status = 200, body = Data<RecoveryCodes>), (status = 409, body = ProblemBody),
        (status = 422, body = ProblemBody), (status = 429, body = ProblemBody), (status = 503, body = ProblemBody)))]
pub async fn confirm_two_factor(
    State(state): State<ApiState>,
    auth: Authorized<may::Session>,
    visitor: Visitor,
    OurBody(mut fields): OurBody,
) -> Result<(HeaderMap, Json<Data<RecoveryCodes>>), Problem> {
    let code = fields.secret("code", Presence::Required, false);
    fields.refuse_unknown();
    fields.finish()?;
    let tx = state.store().for_team(&auth.access).await?;
    let row = tx.two_factors().find(auth.user_id).await?.filter(|row| row.confirmed_at.is_none());
    let row = row.ok_or_else(|| {
        let message = "There is nothing to confirm. Begin with POST /api/user/two-factor.";
        Problem::conflict("two_factor_not_begun", message)
    })?;
    let secret = second_factor::open(&state, &row)?;
    let step = secret.step_of(code.as_deref().unwrap_or_default().trim(), state.now().timestamp());
    let step = step.ok_or_else(second_factor::wrong)?;
    let is_first = tx.two_factors().accept_step(auth.user_id, step).await?
        && tx.two_factors().confirm(auth.user_id, state.now()).await?;
    if !is_first {
        return Err(second_factor::wrong());
    }
    let codes = second_factor::new_codes(&state, &tx, auth.user_id).await?;
    tx.sessions().end_all(auth.user_id, auth.access.actor().session_id()).await?;
    let headers = renew(&state, &tx).await?;
    let subject = format!("users:{}", auth.user_id);
    tx.audit_events()
        .record_change("two_factor.on", &subject, Changes::default().field("two_factor", "off", "on"), json!({}))
        .await?;
    let user = found::<UserId, _>(tx.users().find(auth.user_id).await?)?;
    let body = mails::act(&state, &visitor);
    mails::tell(&state, &tx, AccountMailKind::TwoFactorOn, &user.email, &body).await?;
    tx.commit().await?;
    Ok((headers, data(RecoveryCodes::new(codes))))
}

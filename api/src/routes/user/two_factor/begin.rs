//! `POST /api/user/two-factor`

use crate::accounts::second_factor::key;
use crate::extract::id::found;
use crate::extract::{Authorized, may};
use crate::problem::{Problem, ProblemBody};
use crate::state::ApiState;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use holdfast_domain::ids::UserId;
use holdfast_vault::totp::TotpSecret;
use holdfast_vault::{SealContext, SealedColumn, team_keys};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

/// What an authenticator app needs.
#[derive(Serialize, ToSchema)]
pub struct TwoFactorBegun {
    /// To be typed in: shown this once.
    secret: String,
    /// To be shown as a picture.
    uri: String,
}

/// Makes a secret for an authenticator app, shown this once. It is asked for from the confirmation on.
#[utoipa::path(post, path = "/api/user/two-factor", tag = "user",
    responses((status = 201, body = Data<TwoFactorBegun>), (status = 409, body = ProblemBody),
        (status = 503, body = ProblemBody)))]
pub async fn begin_two_factor(
    State(state): State<ApiState>,
    auth: Authorized<may::Session>,
) -> Result<(StatusCode, Json<Data<TwoFactorBegun>>), Problem> {
    let key = key(&state)?;
    let tx = state.store().for_team(&auth.access).await?;
    let user = found::<UserId, _>(tx.users().find(auth.user_id).await?)?;
    let seal_id = state.with_rng(team_keys::random_uuid);
    let secret = state.with_rng(TotpSecret::generate);
    let place = SealContext::new(tx.team_id(), SealedColumn::TwoFactorSecret, seal_id);
    let sealed = state.with_rng(|rng| key.seal(&place, &secret, rng));
    if !tx.two_factors().begin(auth.user_id, seal_id, sealed, state.now()).await? {
        return Err(Problem::conflict("two_factor_is_on", "Two-factor log-in is on. Turn it off first."));
    }
    tx.audit_events().record("two_factor.begin", &format!("users:{}", auth.user_id), json!({})).await?;
    tx.commit().await?;
    let begun = TwoFactorBegun {
        secret: secret.base32().expose_secret().to_owned(),
        uri: secret.uri(&user.email).expose_secret().to_owned(),
    };
    Ok((StatusCode::CREATED, data(begun)))
}

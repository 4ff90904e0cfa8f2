//! `POST /api/auth/two-factor`

use crate::accounts::log_in::{LogIn, begin};
use crate::accounts::{Visitor, second_factor};
use crate::extract::OurBody;
use crate::problem::{Problem, ProblemBody};
use crate::state::ApiState;
use crate::validation::Presence;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use holdfast_store::Access;
use utoipa::ToSchema;

/// The second factor.
#[derive(ToSchema)]
#[schema(as = TwoFactorChallenge)]
#[expect(dead_code, reason = "read field by field; the struct is its description")]
pub(crate) struct Body {
    /// The app's six digits, or a recovery code.
    code: String,
}

/// Completes a log-in that owes its second factor: the cookie becomes a session, under another secret.
#[utoipa::path(post, path = "/api/auth/two-factor", tag = "auth", request_body = Body,
    responses((status = 200, body = Data<LogIn>), (status = 401, body = ProblemBody),
        (status = 422, body = ProblemBody), (status = 429, body = ProblemBody), (status = 503, body = ProblemBody)))]
pub async fn answer_challenge(
    State(state): State<ApiState>,
    visitor: Visitor,
    OurBody(mut fields): OurBody,
) -> Result<(HeaderMap, Json<Data<LogIn>>), Problem> {
    let code = fields.secret("code", Presence::Required, false);
    fields.refuse_unknown();
    fields.finish()?;
    let secret = visitor.session.as_ref().ok_or_else(Problem::unauthenticated)?;
    let found = state.store().find_challenge(secret.hash().as_bytes(), state.now()).await?;
    let challenge = found.ok_or_else(Problem::unauthenticated)?;
    let who = (challenge.team_id, challenge.user_id);
    second_factor::check(&state, &visitor, who, code.as_deref()).await?;
    let access = Access::system(challenge.team_id, "log-in").seen_from(Some(visitor.address));
    let tx = state.store().for_team(&access).await?;
    // Of two answers at once that both were right, one makes the session.
    if !tx.sessions().end(challenge.user_id, challenge.session_id).await? {
        return Err(Problem::unauthenticated());
    }
    let headers = begin(&state, &visitor, &tx, challenge.user_id).await?;
    tx.commit().await?;
    Ok((headers, data(LogIn { two_factor_required: false })))
}

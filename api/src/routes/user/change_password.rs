//! `POST /api/user/password`

use crate::accounts::log_in::{check_password, renew};
use crate::accounts::{Visitor, mails};
use crate::extract::id::found;
use crate::extract::{Authorized, OurBody, may};
use crate::problem::{Problem, ProblemBody};
use crate::routes::auth::new_password;
use crate::state::ApiState;
use crate::validation::Presence;
use crate::views::Message;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use holdfast_domain::account_mail::AccountMailKind;
use holdfast_domain::ids::UserId;
use holdfast_store::Changes;
use serde_json::json;
use utoipa::ToSchema;

/// Another password.
#[derive(ToSchema)]
#[schema(as = PasswordChange)]
#[expect(dead_code, reason = "read field by field; the struct is its description")]
pub(crate) struct Body {
    current_password: String,
    /// 8 to 256 characters.
    password: String,
}

/// Changes your password. Ends all other sessions; this one gets another cookie. Tokens stay.
#[utoipa::path(post, path = "/api/user/password", tag = "user", request_body = Body,
    responses((status = 200, body = Message), (status = 422, body = ProblemBody)))]
pub async fn change_password(
    State(state): State<ApiState>,
    auth: Authorized<may::Session>,
    visitor: Visitor,
    OurBody(mut fields): OurBody,
) -> Result<(HeaderMap, Json<Message>), Problem> {
    let current = fields.secret("current_password", Presence::Required, false);
    let password = new_password(&mut fields, "password");
    fields.refuse_unknown();
    fields.finish()?;
    let tx = state.store().for_team(&auth.access).await?;
    let user = found::<UserId, _>(tx.users().find(auth.user_id).await?)?;
    tx.commit().await?;
    let wrong = || Problem::field("current_password", "The password is incorrect.");
    let checked = check_password(&state, &visitor, &user.email, current.unwrap_or_default()).await;
    let login = checked.map_err(|problem| problem.about_field("current_password", "The password is incorrect."))?;
    let hash = state.hash_password(password.unwrap_or_default()).await?;
    let tx = state.store().for_team(&auth.access).await?;
    if !tx.users().set_password(auth.user_id, &login.password_hash, &hash).await? {
        return Err(wrong());
    }
    tx.sessions().end_all(auth.user_id, auth.access.actor().session_id()).await?;
    let headers = renew(&state, &tx).await?;
    let changes = Changes::default().secret("password", Some(login.password_hash.as_bytes()), Some(hash.as_bytes()));
    let subject = format!("users:{}", auth.user_id);
    tx.audit_events().record_change("user.password", &subject, changes, json!({"by": "change"})).await?;
    let body = mails::act(&state, &visitor);
    mails::tell(&state, &tx, AccountMailKind::PasswordChanged, &user.email, &body).await?;
    tx.commit().await?;
    Ok((headers, Json(Message { message: "Password changed.".to_owned() })))
}

//! `POST /api/user/email/confirm`

use crate::accounts::{Visitor, mails};
use crate::extract::OurBody;
use crate::problem::{Problem, ProblemBody};
use crate::routes::auth::setup::Refusal;
use crate::routes::auth::verify_email::dead_link;
use crate::state::ApiState;
use crate::validation::Presence;
use crate::views::Message;
use axum::Json;
use axum::extract::State;
use holdfast_domain::account_mail::AccountMailKind;
use holdfast_store::repositories::account_mails::LinkKind;
use holdfast_store::{Access, Changes, StoreError};
use holdfast_vault::ticket::LinkSecret;
use serde_json::json;
use utoipa::ToSchema;

/// The secret from the mail.
#[derive(ToSchema)]
#[schema(as = EmailConfirmation)]
#[expect(dead_code, reason = "read field by field; the struct is its description")]
pub(crate) struct Body {
    token: String,
}

/// Makes the address to which the link went the account's. Ends every session; the old address is told.
#[utoipa::path(post, path = "/api/user/email/confirm", tag = "user", request_body = Body,
    responses((status = 200, body = Message), (status = 422, body = ProblemBody), (status = 429, body = ProblemBody)))]
pub async fn confirm_email(
    State(state): State<ApiState>,
    visitor: Visitor,
    OurBody(mut fields): OurBody,
) -> Result<Json<Message>, Problem> {
    let token = fields.string("token", Presence::Required);
    fields.refuse_unknown();
    fields.finish()?;
    state.guessing().link(&visitor, state.now())?;
    let secret = token.as_deref().and_then(LinkSecret::parse).ok_or_else(dead_link)?;
    let (hash, now) = (secret.hash(), state.now());
    let found = state.store().find_account_link(LinkKind::Email, hash.as_bytes(), now).await?.ok_or_else(dead_link)?;
    let user_id = found.user_id.ok_or_else(dead_link)?;
    let person = state.store().find_login_of(user_id).await?.ok_or_else(dead_link)?;
    let access = Access::system(person.login.team_id, "a confirmed address").seen_from(Some(visitor.address));
    let tx = state.store().for_team(&access).await?;
    if !tx.account_mails().use_link(LinkKind::Email, hash.as_bytes(), now).await? {
        return Err(dead_link());
    }
    match tx.users().set_email(user_id, &person.email, &found.email).await {
        Ok(true) => {}
        Ok(false) => return Err(dead_link()),
        Err(StoreError::Duplicate(_)) => return Err(Refusal::EmailTaken.into()),
        Err(error) => return Err(error.into()),
    }
    tx.sessions().end_all(user_id, None).await?;
    let changes = Changes::default().field("email", &person.email, &found.email);
    tx.audit_events().record_change("user.email", &format!("users:{user_id}"), changes, json!({})).await?;
    let mut body = mails::act(&state, &visitor);
    body.new_email = Some(found.email);
    mails::tell(&state, &tx, AccountMailKind::EmailChanged, &person.email, &body).await?;
    tx.commit().await?;
    Ok(Json(Message { message: "The address is yours. Log in again.".to_owned() }))
}

//! `POST /api/tokens`

use crate::extract::{Authorized, OurBody, may};
use crate::limits;
use crate::problem::{Problem, ProblemBody};
use crate::state::ApiState;
use crate::validation::{Fields, Presence, texts};
use crate::views::token::TokenView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use chrono::{DateTime, TimeDelta, Utc};
use holdfast_domain::ids::{TokenId, UserId};
use holdfast_domain::{Abilities, Ability, Limit};
use holdfast_store::repositories::tokens::NewToken;
use holdfast_store::{Changes, TeamTx};
use holdfast_vault::token::PlainToken;
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

/// Longest name.
const NAME_CHARS: usize = 255;

/// A token to be made.
#[derive(ToSchema)]
#[schema(as = TokenRequest)]
pub(crate) struct Body {
    name: Option<String>,
    /// Names of abilities, or `*` for all.
    abilities: Option<Vec<String>>,
    /// How long it lives; the installation's default without it.
    expires_in_days: Option<i64>,
}

impl Body {
    fn read(fields: &mut Fields, max_days: i64) -> Self {
        let ability = |name: &str| match name {
            "*" => Ok(name.to_owned()),
            other => other.parse::<Ability>().map(|ability| ability.as_str().to_owned()),
        };
        let body = Self {
            name: fields.string("name", Presence::Required),
            abilities: fields.strings("abilities", Presence::Required, Ability::ALL.len(), ability),
            expires_in_days: fields.integer("expires_in_days", Presence::Optional),
        };
        if body.name.as_ref().is_some_and(|name| name.chars().count() > NAME_CHARS) {
            fields.fail("name", texts::too_long("name", NAME_CHARS));
        }
        if body.expires_in_days.is_some_and(|days| !(1..=max_days).contains(&days)) {
            fields.fail("expires_in_days", format!("The expires in days field must be between 1 and {max_days}."));
        }
        fields.refuse_unknown();
        body
    }
}

/// A token and its secret.
#[derive(Serialize, ToSchema)]
pub struct TokenMade {
    #[serde(flatten)]
    token: TokenView,
    /// `<id>|<secret>`: shown this once.
    plain_text_token: String,
}

/// Makes a token. Its secret is shown this once.
#[utoipa::path(post, path = "/api/tokens", tag = "tokens", request_body = Body,
    responses((status = 201, body = Data<TokenMade>), (status = 409, body = ProblemBody),
        (status = 422, body = ProblemBody)))]
pub async fn create_token(
    State(state): State<ApiState>,
    auth: Authorized<may::Session>,
    OurBody(mut fields): OurBody,
) -> Result<(StatusCode, Json<Data<TokenMade>>), Problem> {
    let body = Body::read(&mut fields, state.accounts().token_lifetime_max.num_days());
    fields.finish()?;
    let lifetime = body.expires_in_days.map_or(state.accounts().token_lifetime, TimeDelta::days);
    let names = body.abilities.unwrap_or_default();
    let abilities = Abilities::parse(names.iter().map(String::as_str)).map_err(|error| Problem::internal(&error))?;
    let wanted = Wanted {
        user_id: auth.user_id,
        name: body.name.unwrap_or_default(),
        abilities,
        expires_at: state.now() + lifetime,
    };
    let tx = state.store().for_team(&auth.access).await?;
    let (id, plain_text_token) = make(&state, &tx, wanted).await?;
    let row = tx.tokens().find(auth.user_id, id).await?.ok_or_else(|| Problem::not_found("Token"))?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, data(TokenMade { token: TokenView::of(&row), plain_text_token })))
}

/// A token to be made, whoever asks for it.
pub(in crate::routes) struct Wanted {
    pub user_id: UserId,
    pub name: String,
    pub abilities: Abilities,
    pub expires_at: DateTime<Utc>,
}

/// Stores a token within the team's limit, and says so in the audit log; its id and its wire form. The caller commits.
///
/// # Errors
/// 409 `limit_reached`.
pub(in crate::routes) async fn make(
    state: &ApiState,
    tx: &TeamTx,
    wanted: Wanted,
) -> Result<(TokenId, String), Problem> {
    limits::take(state, tx, Limit::Tokens).await?;
    let token = state.with_rng(PlainToken::generate);
    let view = json!({"name": wanted.name, "abilities": wanted.abilities.names(), "expires_at": wanted.expires_at});
    let new = NewToken {
        user_id: wanted.user_id,
        name: wanted.name,
        secret_hash: token.hash().to_vec(),
        abilities: wanted.abilities,
        expires_at: Some(wanted.expires_at),
    };
    let id = tx.tokens().insert(new).await?;
    let subject = format!("tokens:{id}");
    tx.audit_events().record_change("token.create", &subject, Changes::made(&view), json!({})).await?;
    Ok((id, token.to_wire(id).expose_secret().to_owned()))
}

//! `POST /api/auth/setup`: the first person of an installation, by the one-time secret that the start printed. Without
//! it, or once somebody exists, there is nothing here.

use crate::accounts::Visitor;
use crate::extract::OurBody;
use crate::problem::Problem;
use crate::state::ApiState;
use crate::validation::{Fields, Presence, rules, texts};
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use holdfast_domain::Abilities;
use holdfast_domain::ids::TokenId;
use holdfast_store::repositories::team_keys::NewKeyRow;
use holdfast_store::repositories::tokens::NewToken;
use holdfast_store::system::{AccountOutcome, NewAccount};
use holdfast_store::{Changes, TeamTx};
use holdfast_vault::ticket::SetupSecret;
use holdfast_vault::token::PlainToken;
use holdfast_vault::{password, team_keys};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use validator::{Validate, ValidateEmail};

/// Why the set-up does not happen.
pub(in crate::routes) enum Refusal {
    /// Wrong secret, used secret, or somebody exists: one answer.
    Closed,
    EmailTaken,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Closed => Problem::not_found("Setup link"),
            Refusal::EmailTaken => Problem::field("email", "The email has already been taken."),
        }
    }
}

/// The first person.
#[derive(Default, Validate, ToSchema)]
#[schema(as = SetupRequest)]
pub(in crate::routes) struct Body {
    /// From the set-up link.
    #[validate(length(max = 200))]
    pub token: Option<String>,
    #[validate(length(max = 255))]
    pub name: Option<String>,
    #[validate(length(max = 255))]
    pub email: Option<String>,
    /// At least 8 characters.
    pub password: Option<String>,
    /// IANA name; UTC without it.
    pub timezone: Option<String>,
}

impl Body {
    pub fn read(fields: &mut Fields) -> Self {
        let body = Self {
            token: fields.string("token", Presence::Required),
            name: fields.string("name", Presence::Required),
            email: fields.string("email", Presence::Required),
            password: fields.secret("password", Presence::Required, false),
            timezone: fields.parsed("timezone", Presence::Optional, rules::timezone),
        };
        fields.check(&body);
        if body.email.as_ref().is_some_and(|email| !email.validate_email()) {
            fields.fail("email", texts::must_be("email", "a valid email address"));
        }
        if let Some(problem) = body.password.as_deref().and_then(|text| password::check_new(text).err()) {
            fields.fail_invalid("password", &problem);
        }
        fields.refuse_unknown();
        body
    }
}

/// The first person, their team, and a token shown this once.
#[derive(Serialize, ToSchema)]
pub struct SetupDone {
    user_id: i64,
    team_id: i64,
    /// `<id>|<secret>`, with every ability.
    pub(in crate::routes) token: String,
}

/// Makes the first person of an installation and a token with every ability, shown this once.
#[utoipa::path(post, path = "/api/auth/setup", tag = "auth", request_body = Body,
    responses((status = 201, body = Data<SetupDone>), (status = 404, body = crate::problem::ProblemBody),
        (status = 422, body = crate::problem::ProblemBody), (status = 429, body = crate::problem::ProblemBody)))]
pub async fn setup_installation(
    State(state): State<ApiState>,
    visitor: Visitor,
    OurBody(mut fields): OurBody,
) -> Result<(StatusCode, Json<Data<SetupDone>>), Problem> {
    let secret = fields.peek_text("token").unwrap_or_default();
    open_link(&state, &visitor, &secret).await?;
    let body = Body::read(&mut fields);
    fields.finish()?;
    Ok((StatusCode::CREATED, data(set_up(&state, &visitor, body).await?)))
}

/// Whether `secret` opens the set-up; every try counts.
///
/// # Errors
/// 404, the same for every reason; 429.
pub(in crate::routes) async fn open_link(
    state: &ApiState,
    visitor: &Visitor,
    secret: &str,
) -> Result<SetupSecret, Problem> {
    state.guessing().link(visitor, state.now())?;
    let secret = SetupSecret::parse(secret).ok_or(Refusal::Closed)?;
    let is_open = state.store().setup_link_is_open(secret.hash().as_bytes()).await?;
    if is_open { Ok(secret) } else { Err(Refusal::Closed.into()) }
}

/// Person, team, keys and token in one transaction that uses the link up.
///
/// # Errors
/// 404 when the link was used meanwhile; 503 while no worker has recorded its key.
pub(in crate::routes) async fn set_up(state: &ApiState, visitor: &Visitor, body: Body) -> Result<SetupDone, Problem> {
    let secret = SetupSecret::parse(body.token.as_deref().unwrap_or_default()).ok_or(Refusal::Closed)?;
    let sealer = state.sealer().await?;
    let new = NewAccount {
        email: body.email.unwrap_or_default(),
        name: body.name.unwrap_or_default(),
        password_hash: state.hash_password(body.password.unwrap_or_default()).await?,
        timezone: body.timezone.unwrap_or_else(|| "UTC".to_owned()),
        team_uuid: state.with_rng(team_keys::random_uuid),
        is_operator: true,
    };
    let changes = made(&new);
    let (tx, user_id) = match state.store().create_account(new, Some(secret.hash().as_bytes())).await? {
        AccountOutcome::Created { tx, user_id } => (tx.seen_from(visitor.address), user_id),
        AccountOutcome::EmailTaken => return Err(Refusal::EmailTaken.into()),
        AccountOutcome::LinkClosed => return Err(Refusal::Closed.into()),
    };
    let team_id = tx.team_id();
    let keys = state.with_rng(|rng| team_keys::generate(rng, &sealer, team_id));
    tx.team_keys().insert(keys.into_iter().map(key_row).collect()).await?;
    let token = state.with_rng(PlainToken::generate);
    let token_id = first_token(&tx, user_id, &token).await?;
    tx.audit_events().record_change("installation.setup", &format!("users:{user_id}"), changes, json!({})).await?;
    tx.commit().await?;
    let wire = token.to_wire(token_id);
    Ok(SetupDone { user_id: user_id.0, team_id: team_id.0, token: wire.expose_secret().to_owned() })
}

/// What the audit log keeps of a person who was made.
pub(in crate::routes) fn made(new: &NewAccount) -> Changes {
    Changes::made(&json!({"name": new.name, "email": new.email, "timezone": new.timezone,
        "is_operator": new.is_operator}))
}

pub(in crate::routes) fn key_row(key: team_keys::NewTeamKey) -> NewKeyRow {
    NewKeyRow {
        purpose: key.purpose.as_str().to_owned(),
        version: key.version,
        public: key.public,
        seal_id: key.seal_id,
        sealed: key.sealed,
    }
}

async fn first_token(
    tx: &TeamTx,
    user_id: holdfast_domain::ids::UserId,
    token: &PlainToken,
) -> Result<TokenId, Problem> {
    let new = NewToken {
        user_id,
        name: "Setup".to_owned(),
        secret_hash: token.hash().to_vec(),
        abilities: Abilities::All,
        expires_at: None,
    };
    Ok(tx.tokens().insert(new).await?)
}

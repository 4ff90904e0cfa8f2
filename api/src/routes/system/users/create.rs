//! `POST /api/system/users`

use crate::extract::{Authorized, OurBody, may};
use crate::problem::Problem;
use crate::routes::auth::setup::{Refusal, key_row, made};
use crate::state::ApiState;
use crate::validation::{Fields, Presence, rules, texts};
use crate::views::person::PersonView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use holdfast_domain::ids::UserId;
use holdfast_store::Access;
use holdfast_store::system::{AccountOutcome, NewAccount};
use holdfast_vault::{password, team_keys};
use serde_json::json;
use utoipa::ToSchema;
use validator::{Validate, ValidateEmail};

/// A person to be made.
#[derive(Default, Validate, ToSchema)]
#[schema(as = UserRequest)]
pub(crate) struct Body {
    #[validate(length(max = 255))]
    name: Option<String>,
    #[validate(length(max = 255))]
    email: Option<String>,
    /// Write-only, at least 8 characters.
    password: Option<String>,
    /// IANA name; UTC without it.
    timezone: Option<String>,
    /// Whether they run the installation.
    is_operator: Option<bool>,
}

impl Body {
    fn read(fields: &mut Fields) -> Self {
        let body = Self {
            name: fields.string("name", Presence::Required),
            email: fields.string("email", Presence::Required),
            password: fields.secret("password", Presence::Required, false),
            timezone: fields.parsed("timezone", Presence::Optional, rules::timezone),
            is_operator: fields.boolean("is_operator", Presence::Optional),
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

/// Makes a person with a team of their own.
#[utoipa::path(post, path = "/api/system/users", tag = "system", request_body = Body,
    responses((status = 201, body = Data<PersonView>), (status = 422, body = crate::problem::ProblemBody),
        (status = 503, body = crate::problem::ProblemBody)))]
pub async fn create_user(
    State(state): State<ApiState>,
    auth: Authorized<may::ManageUsers>,
    OurBody(mut fields): OurBody,
) -> Result<(StatusCode, Json<Data<PersonView>>), Problem> {
    let body = Body::read(&mut fields);
    fields.finish()?;
    let id = make(&state, &auth.access, body).await?;
    let tx = state.store().for_team(&auth.access).await?;
    Ok((StatusCode::CREATED, data(super::show(&tx, id).await?)))
}

/// Person, team and keys, and what both audit logs say of it, in one transaction.
async fn make(state: &ApiState, access: &Access, body: Body) -> Result<UserId, Problem> {
    let sealer = state.sealer().await?;
    let new = NewAccount {
        email: body.email.unwrap_or_default(),
        name: body.name.unwrap_or_default(),
        password_hash: state.hash_password(body.password.unwrap_or_default()).await?,
        timezone: body.timezone.unwrap_or_else(|| "UTC".to_owned()),
        team_uuid: state.with_rng(team_keys::random_uuid),
        is_operator: body.is_operator.unwrap_or(false),
    };
    let (own, theirs) = (made(&new), made(&new));
    let (tx, id) = match state.store().create_account(new, None).await? {
        AccountOutcome::Created { tx, user_id } => (tx, user_id),
        AccountOutcome::EmailTaken | AccountOutcome::LinkClosed => return Err(Refusal::EmailTaken.into()),
    };
    let team = tx.team_id();
    let keys = state.with_rng(|rng| team_keys::generate(rng, &sealer, team));
    tx.team_keys().insert(keys.into_iter().map(key_row).collect()).await?;
    let subject = format!("users:{id}");
    let tx = tx.as_operator(access, access.team_id()).await?;
    tx.audit_events().record_change("user.create", &subject, own, json!({"team": team})).await?;
    let tx = tx.as_operator(access, team).await?;
    tx.audit_events().record_change("user.create", &subject, theirs, json!({})).await?;
    tx.commit().await?;
    Ok(id)
}

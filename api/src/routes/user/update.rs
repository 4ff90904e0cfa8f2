//! `PATCH /api/user`

use super::show::view;
use crate::extract::id::found;
use crate::extract::{Authorized, OurBody, may};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::validation::{Fields, Mode, Presence, rules};
use crate::views::time;
use crate::views::user::UserView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use holdfast_domain::digest;
use holdfast_domain::ids::UserId;
use holdfast_store::Changes;
use holdfast_store::repositories::users::Profile;
use holdfast_store::rows;
use serde_json::json;
use utoipa::ToSchema;
use validator::Validate;

/// Languages of the page.
const LANGUAGES: [&str; 3] = ["en", "da", "de"];

/// What a person may change of themselves.
#[derive(Default, Validate, ToSchema)]
#[schema(as = UserChange)]
pub(crate) struct Body {
    #[validate(length(max = 255))]
    name: Option<String>,
    /// IANA name.
    timezone: Option<String>,
    /// `en`, `da`, `de`.
    language: Option<String>,
    /// Rows of a list's page where the request does not say; 1 to 100.
    #[validate(range(min = 1, max = 100))]
    page_size: Option<i64>,
    /// A mail on Monday at 08:00 in the person's zone about the week of every team.
    weekly_summary_enabled: Option<bool>,
}

impl Body {
    fn read(fields: &mut Fields) -> Self {
        let body = Self {
            name: fields.string("name", Presence::Required),
            timezone: fields.parsed("timezone", Presence::Required, rules::timezone),
            language: fields.one_of("language", Presence::Required, &LANGUAGES),
            page_size: fields.integer("page_size", Presence::Required),
            weekly_summary_enabled: fields.boolean("weekly_summary_enabled", Presence::Required),
        };
        fields.check(&body);
        fields.refuse_unknown();
        body
    }
}

/// When the weekly digest is due next: it stays where it is unless it is switched on or the zone is another.
fn next_digest(user: &rows::users::Model, body: &Body, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    if !body.weekly_summary_enabled.unwrap_or(user.next_digest_at.is_some()) {
        return None;
    }
    let zone = body.timezone.as_deref().unwrap_or(&user.timezone);
    if user.next_digest_at.is_some() && zone == user.timezone {
        return user.next_digest_at;
    }
    digest::next_after(now, time::zone(zone), user.last_digest_at)
}

/// Changes name, time zone, language, page size or whether there is a weekly digest; what is absent stays.
#[utoipa::path(patch, path = "/api/user", tag = "user", request_body = Body, responses(
    (status = 200, body = Data<UserView>), (status = 422, body = crate::problem::ProblemBody)))]
pub async fn update_user(
    State(state): State<ApiState>,
    auth: Authorized<may::AnyToken>,
    OurBody(fields): OurBody,
) -> Result<Json<Data<UserView>>, Problem> {
    let mut fields = fields.in_mode(Mode::Update);
    let body = Body::read(&mut fields);
    fields.finish()?;
    let now = state.now();
    let tx = state.store().for_team(&auth.access).await?;
    let user = found::<UserId, _>(tx.users().find(auth.user_id).await?)?;
    let before = user.clone();
    let next_digest_at = next_digest(&user, &body, now);
    if next_digest_at != user.next_digest_at {
        tx.digests().set_next(auth.user_id, next_digest_at).await?;
    }
    let profile = Profile {
        name: body.name.unwrap_or(user.name),
        timezone: body.timezone.unwrap_or(user.timezone),
        language: body.language.unwrap_or(user.language),
        page_size: body.page_size.and_then(|size| i32::try_from(size).ok()).or(user.page_size),
    };
    tx.users().update_profile(auth.user_id, &profile, now).await?;
    let changes = Changes::default()
        .field_if_changed("name", &before.name, &profile.name)
        .field_if_changed("timezone", &before.timezone, &profile.timezone)
        .field_if_changed("language", &before.language, &profile.language)
        .field_if_changed("page_size", before.page_size, profile.page_size)
        .field_if_changed("weekly_summary_enabled", before.next_digest_at.is_some(), next_digest_at.is_some());
    if !changes.is_empty() {
        tx.audit_events().record_change("user.update", &format!("users:{}", auth.user_id), changes, json!({})).await?;
    }
    let view = view(&tx, auth.user_id, now).await?;
    tx.commit().await?;
    Ok(data(view))
}

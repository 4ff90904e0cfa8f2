//! `POST /api/notification-streams`

use super::{Body, SECRETS};
use crate::audit::secrets;
use crate::extract::{Authorized, PageBody, may};
use crate::limits;
use crate::problem::Problem;
use crate::sealing::RowSeal;
use crate::state::ApiState;
use crate::stream_address;
use crate::stream_rules::signing_secret;
use crate::validation::texts;
use crate::views::notification_stream::NotificationStreamView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use holdfast_domain::Limit;
use holdfast_domain::notification::{StreamConfig, StreamKind};
use holdfast_store::Changes;
use holdfast_store::repositories::notification_streams::NewNotificationStream;
use holdfast_vault::SealedColumn;
use serde_json::json;

/// Makes a stream. Nothing is sent but, to an e-mail address that is no member's own, a link by which its owner agrees.
/// `test` sends a message.
#[utoipa::path(post, path = "/api/notification-streams", tag = "notification-streams",
    request_body(content((Body = "application/json"), (Body = "application/x-www-form-urlencoded"))),
    responses((status = 201, body = Data<NotificationStreamView>), (status = 422, body = crate::problem::ProblemBody)))]
pub async fn create_notification_stream(
    State(state): State<ApiState>,
    auth: Authorized<may::CreateNotificationStreams>,
    PageBody(mut fields): PageBody,
) -> Result<(StatusCode, Json<Data<NotificationStreamView>>), Problem> {
    let body = Body::read(&mut fields, None, state.stream_rules());
    let kind = body.kind.as_deref().and_then(StreamKind::parse);
    let config = kind.map(|kind| body.config(kind, StreamConfig::default())).unwrap_or_default();
    if kind == Some(StreamKind::Gotify) && config.server_url.is_none() && !fields.failed("config") {
        fields.fail("config.server_url", texts::required_when("config.server_url", "type", "gotify"));
    }
    fields.finish()?;
    let (Some(kind), Some(value)) = (kind, body.value.as_deref()) else {
        return Err(Problem::internal_text("a stream passed without type and value"));
    };
    let needs_secret = kind == StreamKind::Webhook && body.additional_value.is_none();
    let made = needs_secret.then(|| state.with_rng(signing_secret));
    let address = (kind == StreamKind::Email).then_some(value);
    let mut seal = RowSeal::fresh(&state, auth.access.team_id());
    let second = body.additional_value.as_deref().or(made.as_deref());
    let mut new = NewNotificationStream {
        user_id: auth.user_id,
        label: body.label.clone().unwrap_or_default(),
        kind: kind.as_str().to_owned(),
        events: body.events(&[]),
        is_team_wide: body.is_team_wide.unwrap_or(false),
        config: serde_json::to_value(config).map_err(|e| Problem::internal(&e))?,
        seal_id: seal.seal_id(),
        sealed_value: seal.seal(SealedColumn::StreamValue, Some(value)).await?.unwrap_or_default(),
        sealed_second_value: seal.seal(SealedColumn::StreamSecondValue, second).await?,
        address: None,
    };
    let tx = state.store().for_team(&auth.access).await?;
    limits::take(&state, &tx, Limit::NotificationStreams).await?;
    if let Some(address) = address {
        let confirmed_at = stream_address::confirmed_at(&state, &tx, address).await?;
        new.address = Some((stream_address::address_hash(new.seal_id, address), confirmed_at));
    }
    let row = tx.notification_streams().create(new, state.now()).await?;
    if let Some(address) = address.filter(|_| row.confirmed_at.is_none()) {
        stream_address::ask(&state, &tx, (auth.user_id, row.id), address).await?;
    }
    let subject = format!("notification_streams:{}", row.id);
    let view = NotificationStreamView::of(row.clone());
    let changes = secrets(Changes::made(&view), None, Some(&row), SECRETS);
    tx.audit_events().record_change("notification_stream.create", &subject, changes, json!({})).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, data(view.with_secret(made))))
}

//! `PUT /api/notification-streams/{id}`
//!
//! Stored secrets belong to the receiver they were given for: see `remote_servers::update`.

use super::{Body, SECRETS};
use crate::audit::secrets;
use crate::extract::id::found;
use crate::extract::{Authorized, Id, PageBody, may};
use crate::problem::{FieldErrors, Problem};
use crate::sealing::RowSeal;
use crate::state::ApiState;
use crate::stream_address;
use crate::validation::{Mode, texts};
use crate::views::notification_stream::NotificationStreamView;
use crate::views::{Data, data};
use axum::Json;
use axum::extract::State;
use holdfast_domain::ids::NotificationStreamId;
use holdfast_domain::notification::{StreamConfig, StreamKind};
use holdfast_store::{Changes, TeamTx, rows};
use holdfast_vault::SealedColumn;
use serde_json::json;

/// Changes what is sent. Another type or server address needs the secrets again, and so does a webhook's other address
/// its signing secret (422 without).
#[utoipa::path(put, path = "/api/notification-streams/{id}", tag = "notification-streams", params(("id" = u64, Path)),
    request_body(content((Body = "application/json"), (Body = "application/x-www-form-urlencoded"))),
    responses((status = 200, body = Data<NotificationStreamView>), (status = 422, body = crate::problem::ProblemBody)))]
pub async fn update_notification_stream(
    State(state): State<ApiState>,
    auth: Authorized<may::UpdateNotificationStreams>,
    Id(id): Id<NotificationStreamId>,
    PageBody(fields): PageBody,
) -> Result<Json<Data<NotificationStreamView>>, Problem> {
    let tx = state.store().for_team(&auth.access).await?;
    let mut row = found::<NotificationStreamId, _>(tx.notification_streams().find_for_update(id).await?)?;
    let stored_kind = StreamKind::parse(&row.r#type);
    let mut fields = fields.in_mode(Mode::Update);
    let body = Body::read(&mut fields, stored_kind, state.stream_rules());
    fields.finish()?;
    let kind = body.kind.as_deref().and_then(StreamKind::parse).or(stored_kind);
    let kind = kind.ok_or_else(|| Problem::internal_text("a stream of an unknown type"))?;
    let before: StreamConfig = serde_json::from_value(row.config.clone()).unwrap_or_default();
    let is_other_kind = Some(kind) != stored_kind;
    let base = if is_other_kind { StreamConfig::default() } else { before.clone() };
    let config = body.config(kind, base);
    refuse_strangers(&row, kind, (is_other_kind, config.server_url != before.server_url), &body)?;
    if kind == StreamKind::Gotify && config.server_url.is_none() {
        let text = texts::required_when("config.server_url", "type", "gotify");
        return Err(Problem::field("config.server_url", text));
    }
    let stored = row.clone();
    // Pushover and a webhook cannot do without theirs.
    let is_optional = matches!(kind, StreamKind::Ntfy | StreamKind::Telegram);
    if is_other_kind || (is_optional && body.clears_additional_value) {
        row.sealed_second_value = None;
        (row.sealed_previous_second_value, row.previous_until) = (None, None);
    }
    let mut seal = RowSeal::new(&state, auth.access.team_id(), row.seal_id);
    if let Some(sealed) = seal.seal(SealedColumn::StreamValue, body.value.as_deref()).await? {
        row.sealed_value = sealed;
    }
    if let Some(sealed) = seal.seal(SealedColumn::StreamSecondValue, body.additional_value.as_deref()).await? {
        row.sealed_second_value = Some(sealed);
        // Whoever enters a secret says which ones sign; and another receiver must not be sent a signature of the old one's.
        (row.sealed_previous_second_value, row.previous_until) = (None, None);
    }
    let to_ask = set_address(&state, &tx, &mut row, (kind, body.value.as_deref())).await?;
    row.events = body.events(&row.events);
    row.is_team_wide = body.is_team_wide.unwrap_or(row.is_team_wide);
    row.label = body.label.unwrap_or(row.label);
    row.config = serde_json::to_value(config).map_err(|e| Problem::internal(&e))?;
    row.r#type = kind.as_str().to_owned();
    row.updated_at = state.now();
    let row = tx.notification_streams().save(row).await?;
    if let Some(address) = to_ask {
        stream_address::ask(&state, &tx, (auth.user_id, row.id), &address).await?;
    }
    let view = NotificationStreamView::of(row.clone());
    let changes = Changes::between(&NotificationStreamView::of(stored.clone()), &view);
    let changes = secrets(changes, Some(&stored), Some(&row), SECRETS);
    let subject = format!("notification_streams:{id}");
    tx.audit_events().record_change("notification_stream.update", &subject, changes, json!({})).await?;
    tx.commit().await?;
    Ok(data(view))
}

/// Notes whether an e-mail stream's address may be sent to; gives the address whose owner is to be asked. The same address
/// entered again changes nothing.
async fn set_address(
    state: &ApiState,
    tx: &TeamTx,
    row: &mut rows::notification_streams::Model,
    (kind, value): (StreamKind, Option<&str>),
) -> Result<Option<String>, Problem> {
    if kind != StreamKind::Email {
        (row.address_hash, row.confirmed_at) = (None, None);
        return Ok(None);
    }
    let Some(address) = value else { return Ok(None) };
    let hash = Some(stream_address::address_hash(row.seal_id, address));
    let is_same = row.address_hash == hash;
    if is_same && row.confirmed_at.is_some() {
        return Ok(None);
    }
    row.address_hash = hash;
    row.confirmed_at = stream_address::confirmed_at(state, tx, address).await?;
    Ok((row.confirmed_at.is_none() && !is_same).then(|| address.to_owned()))
}

/// 422 where a stored secret would go to another receiver, or a needed one is missing.
fn refuse_strangers(
    row: &rows::notification_streams::Model,
    kind: StreamKind,
    (is_other_kind, is_other_server): (bool, bool),
    body: &Body,
) -> Result<(), Problem> {
    let mut errors = FieldErrors::default();
    let again =
        |field: &str| format!("The {} field must be entered again when the receiver changes.", texts::attribute(field));
    if (is_other_kind || is_other_server) && body.value.is_none() {
        errors.push("value", again("value"));
    }
    // A webhook's receiver is its value.
    let is_other_webhook = kind == StreamKind::Webhook && (is_other_kind || body.value.is_some());
    let keeps_second = !is_other_kind
        && is_other_server
        && row.sealed_second_value.is_some()
        && !(kind == StreamKind::Ntfy && body.clears_additional_value);
    if (is_other_webhook || keeps_second) && body.additional_value.is_none() {
        errors.push("additional_value", again("additional_value"));
    }
    if errors.is_empty() { Ok(()) } else { Err(Problem::validation(errors)) }
}

//! A notification stream's row, or a task's ping address, as the target that a delivery goes to: its secrets are opened
//! here, for one delivery.
//! No error text may say more than which stream cannot be used.

use crate::context::WorkerContext;
use holdfast_domain::ids::TeamId;
use holdfast_domain::notification::{StreamConfig, StreamKind};
use holdfast_notify::{DeliveryCode, DeliveryError, Target};
use holdfast_store::rows;
use holdfast_vault::{SealContext, SealedColumn};
use secrecy::{ExposeSecret, SecretString};

/// Opens the address of a task's dead man's switch.
///
/// # Errors
/// [`DeliveryCode::InvalidTarget`]: it is missing or does not open.
pub fn open_ping_url(context: &WorkerContext, task: &rows::backup_tasks::Model) -> Result<SecretString, DeliveryError> {
    let unusable = DeliveryError::last(DeliveryCode::InvalidTarget);
    let place = SealContext::new(TeamId(task.team_id), SealedColumn::TaskPingUrl, task.seal_id);
    context.opener.open_text(&place, task.sealed_ping_url.as_deref().ok_or(unusable)?).map_err(|error| {
        tracing::error!(%error, task = task.id, "a task's ping address does not open");
        unusable
    })
}

/// Opens `row`.
///
/// # Errors
/// [`DeliveryCode::Unconfirmed`]: nobody agreed at the address. [`DeliveryCode::InvalidTarget`]: a secret is missing or
/// does not open.
pub fn open_stream(context: &WorkerContext, row: &rows::notification_streams::Model) -> Result<Target, DeliveryError> {
    let unusable = DeliveryError::last(DeliveryCode::InvalidTarget);
    let kind = StreamKind::parse(&row.r#type).ok_or(unusable)?;
    if kind == StreamKind::Email && row.confirmed_at.is_none() {
        return Err(DeliveryError::last(DeliveryCode::Unconfirmed));
    }
    let open = |column, sealed: &[u8]| {
        let place = SealContext::new(TeamId(row.team_id), column, row.seal_id);
        context.opener.open_text(&place, sealed).map_err(|error| {
            tracing::error!(%error, stream = row.id, "a notification stream's secret does not open");
            unusable
        })
    };
    let value = open(SealedColumn::StreamValue, &row.sealed_value)?;
    let second = row.sealed_second_value.as_deref();
    let second = second.map(|sealed| open(SealedColumn::StreamSecondValue, sealed)).transpose()?;
    let config: StreamConfig = serde_json::from_value(row.config.clone()).map_err(|_| unusable)?;
    Ok(match kind {
        StreamKind::Email => Target::Email { to: value.expose_secret().to_owned() },
        StreamKind::Discord => Target::Discord { url: value },
        StreamKind::Slack => Target::Slack { url: value },
        StreamKind::Teams => Target::Teams { url: value },
        StreamKind::Pushover => Target::Pushover { token: value, user: second.ok_or(unusable)? },
        StreamKind::Telegram => Target::Telegram { bot_token: second, chat_id: value },
        StreamKind::Ntfy => {
            Target::Ntfy { server: config.server_url, topic: value, token: second, priority: config.priority }
        }
        StreamKind::Gotify => {
            Target::Gotify { server: config.server_url.ok_or(unusable)?, token: value, priority: config.priority }
        }
        StreamKind::Webhook => {
            let previous = row.sealed_previous_second_value.as_deref();
            let previous = previous.filter(|_| row.previous_until.is_some_and(|until| until > context.clock.now()));
            let previous = previous.map(|sealed| open(SealedColumn::StreamSecondValue, sealed)).transpose()?;
            let secrets = [Some(second.ok_or(unusable)?), previous].into_iter().flatten();
            let each = |text: SecretString| text.expose_secret().split(' ').map(SecretString::from).collect::<Vec<_>>();
            Target::Webhook { url: value, secrets: secrets.flat_map(each).collect() }
        }
    })
}

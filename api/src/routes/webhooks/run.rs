//! `POST /webhooks/backup-tasks/{id}/run`
//!
//! A wrong secret, an absent task and a task without a webhook are one answer, byte for byte. The secret must never reach
//! a log: nothing here puts a header or the query into a message.
//!
//! Wrong secrets have a bucket of their own for each id, whether there is such a task or not: whoever guesses is told to
//! wait and cannot use up what belongs to the one who knows the secret.

use crate::extract::id::PathId;
use crate::extract::{ClientAddress, Id};
use crate::problem::Problem;
use crate::routes::backup_tasks::start::{RunStarted, Start, lock, start};
use crate::state::ApiState;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use holdfast_domain::ids::BackupTaskId;
use holdfast_store::Access;
use holdfast_vault::webhook::WebhookSecret;

const TOO_MANY: &str = "Too many requests. Please try again later.";

/// Starts a run with the secret of the task's webhook, in `Authorization: Bearer …` or in `X-Webhook-Secret`: exactly one
/// of the two. Ten calls a minute for each task. A body is not read.
#[utoipa::path(post, path = "/webhooks/backup-tasks/{id}/run", tag = "webhooks",
    params(("id" = u64, Path), ("X-Webhook-Secret" = Option<String>, Header),
        ("token" = Option<String>, Query, description = "The secret, where `http.webhook_secret_in_query` allows it")),
    responses((status = 202, body = RunStarted), (status = 409, body = crate::problem::ProblemBody),
        (status = 429, body = crate::problem::ProblemBody)))]
pub async fn run_by_webhook(
    State(state): State<ApiState>,
    Id(id): Id<BackupTaskId>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    uri: Uri,
) -> Result<(StatusCode, Json<RunStarted>), Problem> {
    let now = state.now();
    let Some(access) = access(&state, id, given(&state, &headers, &uri)).await? else {
        return Err(match state.webhook_guesses().take(id, now) {
            Ok(_) => absent(),
            Err(refused) => Problem::throttled(&refused, TOO_MANY),
        });
    };
    if let Err(refused) = state.webhooks().take(id, now) {
        return Err(Problem::throttled(&refused, TOO_MANY));
    }
    let tx = state.store().for_team(&access.seen_from(Some(address))).await?;
    // Deleted since it was looked up.
    let task = lock(&state, &tx, id).await?.ok_or_else(absent)?;
    let how = Start { trigger: "webhook", triggered_by: None, destination_ids: None, retry_of: None };
    let run = start(&state, &tx, &task, how).await?;
    tx.task_webhooks().note_use(id, now).await?;
    tx.commit().await?;
    Ok((StatusCode::ACCEPTED, Json(RunStarted::of(run))))
}

fn absent() -> Problem {
    Problem::not_found(BackupTaskId::THING)
}

/// The right that the secret gives. What is no secret at all is looked up like a wrong one.
async fn access(state: &ApiState, id: BackupTaskId, given: Option<WebhookSecret>) -> Result<Option<Access>, Problem> {
    let hash = given.map(|secret| secret.hash().to_vec()).unwrap_or_default();
    Ok(state.store().find_task_webhook(id, &hash).await?)
}

/// The secret of the request, if there is exactly one.
fn given(state: &ApiState, headers: &HeaderMap, uri: &Uri) -> Option<WebhookSecret> {
    let text = |value: &header::HeaderValue| value.to_str().ok().map(str::to_owned);
    let bearer = |value: &header::HeaderValue| {
        let value = text(value)?;
        let (scheme, secret) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| secret.to_owned())
    };
    let mut all: Vec<Option<String>> = headers.get_all(header::AUTHORIZATION).iter().map(bearer).collect();
    all.extend(headers.get_all("x-webhook-secret").iter().map(text));
    if state.webhook_secret_in_query() {
        let query = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        all.extend(query.filter(|(name, _)| name == "token").map(|(_, value)| Some(value.into_owned())));
    }
    match all.as_slice() {
        [Some(secret)] => WebhookSecret::parse(secret),
        _ => None,
    }
}

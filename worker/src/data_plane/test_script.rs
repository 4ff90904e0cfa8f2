//! Runs a script once on a server, outside of any run. The answer begins at once and is kept alive with blanks, which JSON
//! allows in front: a script may take longer than anybody waits for a first byte. Whoever goes away ends the script.

use super::refusal::Refusal;
use crate::context::WorkerContext;
use crate::scripts::{Ended, Facts, Phase, SAYS, Script, SourceStatus, Target, run_phase};
use crate::secrets;
use crate::server::Way;
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream;
use holdfast_domain::Failure;
use holdfast_domain::ids::{RemoteServerId, ScriptId};
use holdfast_domain::script::{OnFailure, ParameterValues, Phase as Side, RunOn};
use holdfast_store::repositories::task_scripts::TaskScript;
use holdfast_store::{Access, rows};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Between two blanks.
const BLANK_EVERY: Duration = Duration::from_secs(5);

/// A test takes no longer, whatever the script may take in a run.
const TEST_MAX: Duration = Duration::from_secs(600);

/// `{"ok","exit_status","is_timed_out","message","output":[…],"duration_ms"}`.
///
/// # Errors
/// Unknown script or server; a value or secret that does not fit; too many tests at once.
pub async fn test_script(
    context: Arc<WorkerContext>,
    access: Access,
    (id, server_id): (ScriptId, RemoteServerId),
    parameters: ParameterValues,
) -> Result<Response, Refusal> {
    let place = context.script_tests.take(access.team_id()).ok_or_else(|| {
        let message = "Other scripts are being tried; wait until one of them has ended.";
        Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too_many_tests", message)
    })?;
    let tx = context.store.for_team(&access).await?;
    let row = tx.sealed().script(id).await?.ok_or_else(Refusal::not_found)?;
    let server = tx.server_contact(server_id).load().await?.ok_or_else(Refusal::not_found)?;
    let sealed = tx.sealed().script_secrets().await?;
    let way = secrets::server_way(&context, &tx, &server, None).await?;
    tx.commit().await?;
    let task = TaskScript {
        script_id: row.id,
        phase: Side::Before,
        run_on: RunOn::Always,
        on_failure: OnFailure::Abort,
        timeout_secs: None,
        parameters,
    };
    let mut script = Script::of(&task, &row, &sealed)?;
    script.timeout = script.timeout.min(TEST_MAX);
    let testing = async move {
        let answer = test(&context, &access, (&server, &way), &script).await;
        drop(place);
        answer
    };
    let testing = testing.boxed();
    let body = Body::from_stream(stream::unfold(Some(testing), next));
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

type Testing = BoxFuture<'static, Value>;

/// A blank while it lasts, then the answer.
async fn next(testing: Option<Testing>) -> Option<(Result<Bytes, Infallible>, Option<Testing>)> {
    let mut testing = testing?;
    tokio::select! {
        answer = &mut testing => Some((Ok(answer.to_string().into()), None)),
        () = tokio::time::sleep(BLANK_EVERY) => Some((Ok(Bytes::from_static(b" ")), Some(testing))),
    }
}

async fn test(
    context: &WorkerContext,
    access: &Access,
    (server, way): (&rows::remote_servers::Model, &Way),
    script: &Script,
) -> Value {
    let begun = Instant::now();
    let lines = Mutex::new(Vec::new());
    let say = |line: String| {
        if let Some(line) = line.strip_prefix(SAYS) {
            lines.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned());
        }
    };
    let facts = Facts {
        run_id: None,
        attempt: 1,
        task: None,
        trigger: "test".to_owned(),
        server: server.label.clone(),
        started_at: context.clock.now(),
        bytes: 0,
        phase: script.phase,
        run_on: script.run_on,
        status: SourceStatus::Running,
        is_dry_run: true,
    };
    let phase = Phase { scripts: vec![script], facts, stop: CancellationToken::new() };
    let ran = run_phase(Target { context, access, server, way }, &phase, &say).await;
    let ended = ran.as_ref().ok().and_then(|report| report.ended.first().cloned());
    let failure: Option<Failure> = match ran {
        Ok(report) => report.failed.into_iter().next().map(|failed| failed.failure),
        Err(failure) => Some(failure),
    };
    let message = match (&failure, &ended) {
        (None, _) => "The script ended with status 0.".to_owned(),
        (Some(failure), Some(_)) => failure.detail.clone(),
        // It did not come so far: what to do about the server is said too.
        (Some(failure), None) => failure.to_string(),
    };
    json!({
        "ok": failure.is_none(),
        "exit_status": match ended { Some(Ended::Exited(status)) => Some(status), _ => None },
        "is_timed_out": matches!(ended, Some(Ended::TimedOut { .. })),
        "message": message,
        "output": lines.into_inner().unwrap_or_else(PoisonError::into_inner),
        "duration_ms": u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

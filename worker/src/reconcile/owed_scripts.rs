//! Scripts that runs which are over owe to their servers: a worker died, or the server did not answer, between a script before
//! and its counterpart after. What was stopped for a backup must not stay stopped.

use crate::context::WorkerContext;
use crate::jobs::execute_run::script_facts;
use crate::scripts::{Facts, Phase, Script, SourceStatus, Target, run_phase};
use crate::secrets;
use chrono::TimeDelta;
use futures_util::StreamExt as _;
use holdfast_domain::script::{Phase as Side, RunOn};
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_store::repositories::run_inputs::RunInputs;
use holdfast_store::repositories::run_scripts::OwingRun;
use holdfast_store::{Access, StoreError};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Runs of one round, and how many of them at once.
const AT_MOST: i32 = 20;
const AT_ONCE: usize = 4;

/// Besides the scripts' own times: for connecting.
const HOLD_MORE: Duration = Duration::from_secs(120);

/// Between two tries: doubled each time, from the first to the second.
const PAUSES_SECS: (f64, f64) = (15.0, 900.0);

/// After so long nobody waits for it any more.
const GIVEN_UP_AFTER: TimeDelta = TimeDelta::hours(24);

/// One round.
///
/// # Errors
/// The database failed; what was done stays done.
pub async fn reconcile(context: &WorkerContext) -> Result<(), StoreError> {
    let owing = context.store.runs_owing_scripts(AT_MOST).await?;
    futures_util::stream::iter(owing)
        .for_each_concurrent(AT_ONCE, |run| async move {
            if let Err(error) = pay(context, run).await {
                tracing::warn!(run = %run.id, ?error, "scripts that a run owes wait for the next round");
            }
        })
        .await;
    Ok(())
}

async fn pay(context: &WorkerContext, owing: OwingRun) -> Result<(), StoreError> {
    let access = Access::system(owing.team_id, "scripts that a run owes");
    let tx = context.store.for_team(&access).await?;
    let inputs = tx.run_inputs(owing.id).await?;
    let scripts: Result<Vec<Script>, Failure> =
        inputs.scripts.iter().map(|(task, row)| Script::of(task, row, &inputs.script_secrets)).collect();
    let hold = scripts.iter().flatten().map(|script| script.timeout).sum::<Duration>() + HOLD_MORE;
    let Some(tries) = tx.take_owed_scripts(owing.id, hold.as_secs_f64()).await? else { return Ok(()) };
    tx.commit().await?;
    let lines = Mutex::new(vec!["The scripts after the backup are still owed to the server.".to_owned()]);
    let say = |line: String| lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    let paid = match scripts {
        Ok(scripts) => run(context, &access, (&inputs, &scripts), &say).await,
        Err(failure) => Err(failure),
    };
    let is_too_old = inputs.run.scripts_owed_at.is_some_and(|at| context.clock.now() - at > GIVEN_UP_AFTER);
    let is_over = match &paid {
        Ok(()) => true,
        Err(failure) => {
            say(failure.to_string());
            is_too_old || inputs.server.deleted_at.is_some()
        }
    };
    if is_over && paid.is_err() {
        say("They are given up: see to the server.".to_owned());
        tracing::error!(run = %owing.id, "scripts that a run owes its server are given up");
    }
    let lines = lines.into_inner().unwrap_or_else(PoisonError::into_inner);
    let tx = context.store.for_team(&access).await?;
    // The first try and the last are told; those between say the same.
    if is_over || tries == 1 {
        tx.append_run_lines(owing.id, owing.epoch, &lines).await?;
    }
    match is_over {
        true => tx.run_execution(owing.id, owing.epoch).owes_no_scripts().await?,
        false => {
            let (first, most) = PAUSES_SECS;
            tx.owe_scripts_until(owing.id, (first * 2f64.powi(tries.clamp(1, 16) - 1)).min(most)).await?;
        }
    }
    tx.commit().await
}

async fn run(
    context: &WorkerContext,
    access: &Access,
    (inputs, scripts): (&RunInputs, &[Script]),
    say: &(dyn Fn(String) + Send + Sync),
) -> Result<(), Failure> {
    if inputs.server.deleted_at.is_some() || inputs.team.suspended_at.is_some() {
        let detail = "The server was deleted, or the team is suspended.";
        return Err(Failure::new(Step::Prepare, FailureCode::NotAuthorised, detail));
    }
    let tx = context.store.for_team(access).await.map_err(|e| secrets::store_failure(Step::Prepare, &e))?;
    let way = secrets::server_way(context, &tx, &inputs.server, Some(&inputs.task)).await?;
    drop(tx);
    let wanted = |script: &&Script| script.phase == Side::After && script.run_on == RunOn::Always;
    let facts =
        Facts { phase: Side::After, status: SourceStatus::Abandoned, ..script_facts(inputs, inputs.run.attempts) };
    let phase = Phase { scripts: scripts.iter().filter(wanted).collect(), facts, stop: CancellationToken::new() };
    let target = Target { context, access, server: &inputs.server, way: &way };
    run_phase(target, &phase, say).await.map(drop)
}

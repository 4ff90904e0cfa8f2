//! The scripts of a run: when each of them runs, and what becomes of the run when one ends badly.
//!
//! ```text
//! connect → before → read → after/always → verify → commit → after/success
//!              └──── any bad end ────────→ after/always → after/failure
//! ```
//!
//! `always` is what undoes a script before, so it runs as early as it can, and it is owed: that is in the run's row before the
//! first script begins. Whatever becomes of this worker, the next attempt or a reconciler pays. A cancellation does not cut it
//! short; its own time does. Once the backup is recorded nothing here can make the run fail.

use super::attempt::Attempt;
use crate::lease::StopReason;
use crate::scripts::{Facts, Phase, Report, Script, SourceStatus, Target, run_phase};
use crate::server::Way;
use holdfast_domain::run::RunStatus;
use holdfast_domain::script::{OnFailure, Phase as Side, RunOn};
use holdfast_domain::warning::{Warning, WarningCode, Warnings};
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_store::repositories::run_inputs::RunInputs;
use holdfast_store::rows;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often a server is tried that must be told to go on.
const TRIES: u32 = 3;

/// Between two of them.
const PAUSE: Duration = Duration::from_secs(3);

/// A run's scripts.
pub(super) struct RunScripts {
    list: Vec<Script>,
    server: rows::remote_servers::Model,
    way: Arc<Way>,
    facts: Facts,
    /// An attempt before this one owes them.
    is_inherited: bool,
    /// The phase before has begun.
    has_begun: AtomicBool,
    is_owed: AtomicBool,
    warnings: Mutex<Warnings>,
}

impl RunScripts {
    /// The scripts of `inputs`.
    ///
    /// # Errors
    /// One of them cannot be run as it is defined.
    pub(super) fn of(inputs: &RunInputs, way: Arc<Way>, attempt: i32) -> Result<Self, Failure> {
        let scripts = inputs.scripts.iter().map(|(task, row)| Script::of(task, row, &inputs.script_secrets));
        Ok(Self {
            list: scripts.collect::<Result<_, _>>()?,
            server: inputs.server.clone(),
            way,
            facts: facts(inputs, attempt),
            is_inherited: inputs.run.scripts_owed_at.is_some(),
            has_begun: AtomicBool::new(false),
            is_owed: AtomicBool::new(inputs.run.scripts_owed_at.is_some()),
            warnings: Mutex::default(),
        })
    }

    /// Whether any run once the backup is recorded.
    pub(super) fn has_success(&self) -> bool {
        self.of_phase(Side::After, RunOn::Success).next().is_some()
    }

    /// What they add to the run's warnings, so far.
    pub(super) fn warnings(&self) -> Warnings {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn of_phase(&self, phase: Side, run_on: RunOn) -> impl Iterator<Item = &Script> {
        self.list.iter().filter(move |script| script.phase == phase && script.run_on == run_on)
    }

    fn is_owed(&self) -> bool {
        self.is_owed.load(Ordering::Relaxed)
    }

    fn warn(&self, message: String) {
        let warning = Warning { code: WarningCode::ScriptFailed, path: None, message };
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(warning);
    }

    fn note(&self, report: &Report) {
        for failed in report.failed.iter().filter(|failed| failed.on_failure == OnFailure::Warn) {
            self.warn(failed.failure.detail.clone());
        }
    }
}

/// What every script of a run is told, whatever its phase.
pub(crate) fn facts(inputs: &RunInputs, attempt: i32) -> Facts {
    Facts {
        run_id: Some(inputs.run.id),
        attempt,
        task: Some((inputs.task.id, inputs.task.label.clone())),
        trigger: inputs.run.trigger.clone(),
        server: inputs.server.label.clone(),
        started_at: inputs.run.started_at.unwrap_or(inputs.run.created_at),
        bytes: 0,
        phase: Side::Before,
        run_on: RunOn::Always,
        status: SourceStatus::Running,
        is_dry_run: false,
    }
}

/// Undoes what an attempt before this one began, then runs the scripts before.
///
/// # Errors
/// One of them says that the run must fail; there is no connection; the work must stop.
pub(super) async fn before(attempt: &Attempt) -> Result<(), Failure> {
    let Some(scripts) = attempt.scripts.get() else { return Ok(()) };
    attempt.enter(RunStatus::Running, Step::Script).await?;
    if scripts.is_inherited {
        attempt.say("An earlier attempt ended in the middle: the scripts after it run first.");
        let report = always(attempt, scripts, SourceStatus::Abandoned).await?;
        scripts.note(&report);
    }
    if scripts.of_phase(Side::After, RunOn::Always).next().is_some() {
        let (id, epoch) = (attempt.run_id, attempt.epoch);
        let owe = attempt
            .in_tx(Step::Script, move |tx| Box::pin(async move { tx.run_execution(id, epoch).owe_scripts().await }));
        if !owe.await? {
            return Err(attempt.lease.failure(Step::Script));
        }
        scripts.is_owed.store(true, Ordering::Relaxed);
    }
    scripts.has_begun.store(true, Ordering::Relaxed);
    attempt.reach(crate::faults::FaultPoint::ScriptsOwed).await;
    let list = scripts.of_phase(Side::Before, RunOn::Always).collect();
    let report =
        run(attempt, scripts, (list, RunOn::Always, SourceStatus::Running), attempt.lease.stopped().clone()).await?;
    scripts.note(&report);
    if let Some(is_gone) = report.stopped {
        attempt.set_program_is_gone(Some(is_gone));
        return Err(attempt.lease.failure(Step::Script));
    }
    match report.failed.into_iter().find(|failed| failed.on_failure == OnFailure::Abort) {
        Some(failed) => Err(failed.failure),
        None => Ok(()),
    }
}

/// Runs the scripts `always` after: the source was read. That they fail, or cannot be run, is a warning: what was read is
/// good.
pub(super) async fn after_source(attempt: &Attempt) {
    let Some(scripts) = attempt.scripts.get().filter(|scripts| scripts.is_owed()) else { return };
    match always(attempt, scripts, SourceStatus::SourceRead).await {
        Ok(report) => scripts.note(&report),
        Err(failure) => scripts.warn(not_run(&failure)),
    }
}

/// Runs the scripts on success, and ends the run whose backup is recorded. Whatever happens here, the backup stays.
pub(super) async fn after_commit(attempt: &Attempt, status: RunStatus) {
    let Some(scripts) = attempt.scripts.get() else { return };
    // Shown while they run; that it cannot be written changes nothing.
    let _shown = attempt.enter(RunStatus::Verifying, Step::Script).await;
    let status = SourceStatus::Ended { status: status.as_str(), error_code: None };
    let list = scripts.of_phase(Side::After, RunOn::Success).collect();
    let ran = run(attempt, scripts, (list, RunOn::Success, status), attempt.lease.stopped().clone()).await;
    let mut more = Warnings::default();
    let mut warn = |message: String| {
        more.push(Warning { code: WarningCode::ScriptFailed, path: None, message });
    };
    match ran {
        Ok(report) => {
            let failed = report.failed.into_iter().filter(|failed| failed.on_failure == OnFailure::Warn);
            failed.for_each(|failed| warn(failed.failure.detail));
            if report.stopped.is_some() {
                warn("The scripts on success were stopped; the backup is there all the same.".to_owned());
            }
        }
        Err(failure) => warn(format!("The scripts on success could not be run: {}", failure.detail)),
    }
    finish(attempt, &more).await;
}

/// Ends a run whose backup an earlier attempt recorded, if it did.
///
/// # Errors
/// The work must stop.
pub(super) async fn finish_committed(attempt: &Attempt) -> Result<bool, Failure> {
    // The first claim has nothing before it.
    if attempt.epoch == 1 {
        return Ok(false);
    }
    let (id, epoch) = (attempt.run_id, attempt.epoch);
    let row = attempt.in_tx(Step::Prepare, move |tx| Box::pin(async move { tx.run_execution(id, epoch).row().await }));
    if row.await?.committed_as.is_none() {
        return Ok(false);
    }
    let more = holdfast_store::repositories::run_scripts::unfinished_scripts();
    finish(attempt, &more).await;
    Ok(true)
}

async fn finish(attempt: &Attempt, more: &Warnings) {
    for warning in &more.kept {
        attempt.say(format!("Warning: {}", warning.message));
    }
    let _writing = attempt.journal.writing().await;
    let lines = attempt.journal.take_lines();
    let (id, epoch) = (attempt.run_id, attempt.epoch);
    let finished = attempt
        .in_tx_unguarded(Step::Script, move |tx| {
            let (lines, more) = (lines.clone(), more.clone());
            Box::pin(async move {
                tx.append_said_lines(id, epoch, &lines, true).await?;
                tx.run_execution(id, epoch).finish(&more).await
            })
        })
        .await;
    if !matches!(finished, Ok(true)) {
        tracing::warn!(run = %id, ?finished, "a recorded run is not ended; whoever finds it ends it");
    }
}

/// Runs what must run after an attempt that brought no backup: `always` if it is owed, and `failure` where the run is over.
pub(super) async fn after_failure(attempt: &Attempt, failure: &Failure, end: Option<RunStatus>) {
    let Some(scripts) = attempt.scripts.get() else { return };
    let word = if end == Some(RunStatus::Cancelled) { "cancelled" } else { "failed" };
    let status = SourceStatus::Ended { status: word, error_code: Some(failure.code.as_str()) };
    if scripts.is_owed() && always(attempt, scripts, status.clone()).await.is_err() {
        attempt.say("It will be tried again until the server answers.");
    }
    if end.is_none() || !scripts.has_begun.load(Ordering::Relaxed) {
        return;
    }
    let list: Vec<_> = scripts.of_phase(Side::After, RunOn::Failure).collect();
    if list.is_empty() {
        return;
    }
    if let Err(failure) = run(attempt, scripts, (list, RunOn::Failure, status), CancellationToken::new()).await {
        attempt.say(not_run(&failure));
    }
}

/// Runs the scripts `always` after, and notes that nothing is owed any more. Nobody's wish to stop ends them.
async fn always(attempt: &Attempt, scripts: &RunScripts, status: SourceStatus) -> Result<Report, Failure> {
    if let Some(StopReason::Fenced | StopReason::DatabaseLost) = attempt.lease.reason() {
        // Whoever has the run now begins with them.
        return Err(attempt.lease.failure(Step::Script));
    }
    let mut tries = 0;
    let report = loop {
        let list = scripts.of_phase(Side::After, RunOn::Always).collect();
        tries += 1;
        match run(attempt, scripts, (list, RunOn::Always, status.clone()), CancellationToken::new()).await {
            Ok(report) => break report,
            Err(failure) if tries < TRIES && failure.code.is_transient() => tokio::time::sleep(PAUSE).await,
            Err(failure) => {
                attempt.say(not_run(&failure));
                return Err(failure);
            }
        }
    };
    let (id, epoch) = (attempt.run_id, attempt.epoch);
    let paid = attempt
        .in_tx_unguarded(Step::Script, move |tx| {
            Box::pin(async move { tx.run_execution(id, epoch).owes_no_scripts().await })
        })
        .await;
    if paid.is_ok() {
        scripts.is_owed.store(false, Ordering::Relaxed);
    }
    Ok(report)
}

async fn run(
    attempt: &Attempt,
    scripts: &RunScripts,
    (list, run_on, status): (Vec<&Script>, RunOn, SourceStatus),
    stop: CancellationToken,
) -> Result<Report, Failure> {
    let phase = list.first().map_or(Side::After, |script| script.phase);
    let bytes = attempt.journal.progress().original_size;
    let facts = Facts { phase, run_on, status, bytes, ..scripts.facts.clone() };
    let target =
        Target { context: &attempt.context, access: &attempt.access, server: &scripts.server, way: &scripts.way };
    run_phase(target, &Phase { scripts: list, facts, stop }, &|line| attempt.say(line)).await
}

fn not_run(failure: &Failure) -> String {
    let failure = Failure::new(Step::Script, FailureCode::ScriptFailed, &failure.detail);
    format!("The scripts after the backup could not be run: {}", failure.detail)
}

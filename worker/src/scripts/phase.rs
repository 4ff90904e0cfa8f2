//! Scripts one after another on one server.

use super::facts::Facts;
use super::output::Output;
use super::program::{self, Ended, Invocation};
use super::script::Script;
use crate::context::WorkerContext;
use crate::server::{self, Way};
use holdfast_domain::script::OnFailure;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_remote::{Session, Timing};
use holdfast_store::{Access, rows};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// A script may be silent for as long as it may run; only its time ends it.
const SILENCE_MORE: Duration = Duration::from_secs(60);

/// Where scripts run.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// Who runs them.
    pub context: &'a WorkerContext,
    /// For whom.
    pub access: &'a Access,
    /// The server.
    pub server: &'a rows::remote_servers::Model,
    /// How it is reached.
    pub way: &'a Way,
}

/// What runs.
pub struct Phase<'a> {
    /// In order.
    pub scripts: Vec<&'a Script>,
    /// What they are told.
    pub facts: Facts,
    /// Ends a script under way; those after it do not begin.
    pub stop: CancellationToken,
}

/// A script that ended badly.
#[derive(Clone, Debug)]
pub struct Failed {
    /// What that means.
    pub on_failure: OnFailure,
    /// Why.
    pub failure: Failure,
}

/// What became of a phase.
#[derive(Debug, Default)]
pub struct Report {
    /// Those that ended badly; the last of them is the one that aborts, if one does.
    pub failed: Vec<Failed>,
    /// How each ended that was run, in order.
    pub ended: Vec<Ended>,
    /// It was stopped, and whether what was under way is known to be gone.
    pub stopped: Option<bool>,
}

/// Runs the scripts in order, until one of them aborts.
///
/// # Errors
/// There is no connection, or it broke.
pub async fn run_phase(
    target: Target<'_>,
    phase: &Phase<'_>,
    say: &(dyn Fn(String) + Send + Sync),
) -> Result<Report, Failure> {
    let mut report = Report::default();
    let mut session = None;
    for script in &phase.scripts {
        if phase.stop.is_cancelled() {
            report.stopped = Some(true);
            break;
        }
        let ready = match session.take() {
            Some(session) => session,
            None => connect(target, &phase.scripts).await?,
        };
        let (ended, left) = one(target, phase, script, (ready, say)).await?;
        session = left;
        report.ended.push(ended.clone());
        if let Ended::Stopped { is_gone } = ended {
            report.stopped = Some(is_gone);
            break;
        }
        let Some(failure) = judge(script, &ended) else { continue };
        report.failed.push(Failed { on_failure: script.on_failure, failure });
        if script.on_failure == OnFailure::Abort {
            break;
        }
    }
    if let Some(session) = session {
        session.end().await;
    }
    Ok(report)
}

async fn connect(target: Target<'_>, scripts: &[&Script]) -> Result<Session, Failure> {
    let longest = scripts.iter().map(|script| script.timeout).max().unwrap_or_default();
    let timing = Timing { silence: longest + SILENCE_MORE, ..server::timing(target.context) };
    server::connect_with(target.context, target.access, target.server, target.way, timing).await
}

async fn one(
    target: Target<'_>,
    phase: &Phase<'_>,
    script: &Script,
    (session, say): (Session, &(dyn Fn(String) + Send + Sync)),
) -> Result<(Ended, Option<Session>), Failure> {
    let payload = match script.payload(target.context, &phase.facts) {
        Ok(payload) => payload,
        // One secret that does not open must not keep the scripts after it from running.
        Err(failure) => return Ok((Ended::NotBegun(failure.detail), Some(session))),
    };
    let secs = script.timeout.as_secs();
    say(format!("Running the script {:?} ({}, at most {secs} s).", script.label, phase.facts.phase.as_str()));
    let begun = Instant::now();
    let call = Invocation { interpreter: script.interpreter, payload: &payload.text, timeout: script.timeout };
    let mut output = Output::new(say, &payload.secrets);
    let ended = program::run(session, &call, &phase.stop, &mut output).await;
    output.end();
    if let Ok((ended, _)) = &ended {
        say(format!(
            "The script {:?} {}, after {:.1} s.",
            script.label,
            words(script, ended),
            begun.elapsed().as_secs_f64()
        ));
    }
    ended.map_err(|failure| Failure { step: Step::Script, ..failure })
}

fn judge(script: &Script, ended: &Ended) -> Option<Failure> {
    if *ended == Ended::Exited(0) {
        return None;
    }
    let detail = format!("The script {:?} {}.", script.label, words(script, ended));
    Some(Failure::new(Step::Script, FailureCode::ScriptFailed, detail))
}

fn words(script: &Script, ended: &Ended) -> String {
    let left = |is_gone: &bool| {
        if *is_gone { "and nothing of it is left" } else { "but it could not be confirmed that nothing of it is left" }
    };
    match ended {
        Ended::Exited(status) => format!("ended with status {status}"),
        Ended::NotBegun(why) => format!("did not begin: {}", why.trim_end_matches('.')),
        Ended::TimedOut { is_gone } => {
            format!("took longer than {} s and was killed, {}", script.timeout.as_secs(), left(is_gone))
        }
        Ended::Stopped { is_gone } => format!("was stopped, {}", left(is_gone)),
    }
}

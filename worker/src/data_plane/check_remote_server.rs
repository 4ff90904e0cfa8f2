//! Whether a server can be backed up: name, connection, host key, log-in, tools. Nothing is authenticated to a server
//! whose key is not confirmed.

use super::check_answer::{answer, failed, passed};
use super::refusal::Refusal;
use crate::context::WorkerContext;
use crate::server::Way;
use crate::{secrets, server};
use axum::response::Response;
use holdfast_domain::check::CheckStep;
use holdfast_domain::ids::RemoteServerId;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_remote::Timing;
use holdfast_sources::probe;
use holdfast_store::{Access, rows};
use std::time::Duration;

/// The step of a jump host, one for each that was tried.
const JUMP_HOST: &str = "jump_host";

/// How long each part of a check may take.
const STEP_LIMIT: Duration = Duration::from_secs(6);

/// The steps in order, with what each says when it passed.
const STEPS: [(&str, &str); 5] = [
    ("resolve", "The name has an address that may be reached."),
    ("connect", "The port answers."),
    ("host_key", "The host key is the confirmed one."),
    ("log_in", "The server let us in."),
    ("tools", "Everything that a backup of files needs is there."),
];

/// Connects, logs in and looks for the tools; notes connectivity and, on first contact, the pending host key:
/// `{"ok":bool,"steps":[…]}`.
///
/// # Errors
/// Unknown server; the database failed.
pub async fn check_remote_server(
    context: &WorkerContext,
    access: &Access,
    id: RemoteServerId,
) -> Result<Response, Refusal> {
    let tx = context.store.for_team(access).await?;
    let row = tx.server_contact(id).load().await?.ok_or_else(Refusal::not_found)?;
    let way = secrets::server_way(context, &tx, &row, None).await;
    drop(tx);
    let steps = match way {
        Err(failure) => vec![failed("prepare", failure.to_string())],
        Ok(way) => match server::try_with(context, access, &row, &way, quick(context)).await {
            Err(missed) if missed.at < way.jump_rows.len() => {
                let mut steps = let_through(&way, missed.at);
                steps.push(failed(JUMP_HOST, missed.failure.to_string()));
                steps
            }
            Err(missed) => [let_through(&way, missed.at), steps_until(&missed.failure)].concat(),
            Ok(mut session) => {
                let mut steps = let_through(&way, way.jump_rows.len());
                steps.extend(first(STEPS.len() - 1));
                steps.push(tools(&mut session).await);
                steps
            }
        },
    };
    Ok(answer(&steps))
}

/// Shorter than for a run: connection, key exchange, log-in and program each take at most this, and the client of a
/// check waits 30 s for all of them.
pub(crate) fn quick(context: &WorkerContext) -> Timing {
    let usual = server::timing(context);
    Timing { handshake: usual.handshake.min(STEP_LIMIT), silence: STEP_LIMIT, ..usual }
}

async fn tools(session: &mut holdfast_remote::Session) -> CheckStep {
    match probe::check(session).await {
        Ok(found) if found.missing.is_empty() => {
            let (_, text) = STEPS[STEPS.len() - 1];
            let names: Vec<&str> = found.tools.values().map(String::as_str).collect();
            passed("tools", format!("{text} {}; {}.", found.system, names.join(", ")))
        }
        Ok(found) => {
            let missing = format!("{} missing on the server.", found.missing.join(", "));
            failed("tools", Failure::new(Step::Start, FailureCode::MissingTool, missing).to_string())
        }
        Err(failure) => failed("tools", failure.to_string()),
    }
}

/// The first `count` jump hosts, which let us in.
fn let_through(way: &Way, count: usize) -> Vec<CheckStep> {
    let passed_by = |row: &rows::remote_servers::Model| {
        passed(JUMP_HOST, format!("{} ({}) showed its confirmed host key and let us in.", row.label, row.host))
    };
    way.jump_rows.iter().take(count).map(passed_by).collect()
}

/// The steps before the one that failed, and that one.
fn steps_until(failure: &Failure) -> Vec<CheckStep> {
    let at = match (failure.step, failure.code) {
        (_, FailureCode::ServerUnknown | FailureCode::BlockedEgress) => 0,
        (Step::HostKey, _) => 2,
        (Step::Authenticate, _) => 3,
        _ => 1,
    };
    let mut steps = first(at);
    steps.push(failed(STEPS[at].0, failure.to_string()));
    steps
}

fn first(count: usize) -> Vec<CheckStep> {
    STEPS[..count].iter().map(|(name, text)| passed(name, *text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_stands_at_its_step_and_nothing_after_it_is_claimed() {
        for (step, code, names) in [
            (Step::Connect, FailureCode::ServerUnknown, &["resolve"][..]),
            (Step::Connect, FailureCode::ConnectFailed, &["resolve", "connect"]),
            (Step::HostKey, FailureCode::HostKeyUnconfirmed, &["resolve", "connect", "host_key"]),
            (Step::Authenticate, FailureCode::AuthenticationFailed, &["resolve", "connect", "host_key", "log_in"]),
        ] {
            let steps = steps_until(&Failure::new(step, code, "No."));
            assert_eq!(steps.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), names);
            assert_eq!(steps.iter().filter(|s| !s.ok).count(), 1);
            assert!(steps.last().is_some_and(|s| !s.ok));
        }
    }
}

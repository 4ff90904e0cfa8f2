//! What a run reads: the streams that it will have, and the reader of each. Every source is behind the same trait here;
//! nothing after this file may ask which one it is.

use super::attempt::Attempt;
use super::prepare::{Prepared, connect};
use holdfast_domain::manifest::DatabaseFacts;
use holdfast_domain::source::{FilesSpec, SourceSpec};
use holdfast_domain::warning::Warnings;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_remote::Session;
use holdfast_sources::StreamReader;
use holdfast_sources::database::{self, DatabaseLogin, DatabasePlan};
use holdfast_sources::files;
use std::collections::BTreeMap;
use std::time::Duration;

/// The streams of a run, in order.
pub(super) struct Plan {
    pub(super) streams: Vec<Planned>,
    /// What is to be said before a byte moves.
    pub(super) warnings: Warnings,
    pub(super) tools: BTreeMap<String, String>,
    reading: Reading,
}

/// One stream that will be read.
pub(super) struct Planned {
    pub(super) name: String,
    /// `tar`, `sql`, `pgdump`.
    pub(super) format: &'static str,
    pub(super) database: Option<DatabaseFacts>,
}

enum Reading {
    Files { spec: FilesSpec, session: Option<Session> },
    Databases { plan: DatabasePlan, login: DatabaseLogin },
}

impl Planned {
    pub(super) fn is_tar(&self) -> bool {
        self.format == "tar"
    }
}

/// Connects and decides what is read.
pub(super) async fn plan(attempt: &Attempt, prepared: &Prepared) -> Result<Plan, Failure> {
    let mut session = connect(attempt, prepared).await?;
    let (spec, login) = match (&prepared.source, &prepared.database_login) {
        (SourceSpec::Files(spec), _) => return Ok(of_files(spec.clone(), session)),
        (SourceSpec::Database(spec), Some(login)) => (spec, login.clone()),
        (SourceSpec::Database(_), None) => {
            return Err(Failure::new(Step::Prepare, FailureCode::Internal, "The databases have no log-in."));
        }
    };
    attempt.say("Looking at the databases.");
    let planning = within(attempt.stall(), Step::Start, database::plan(&mut session, spec, &login));
    let plan = attempt.lease.guard(Step::Start, planning).await?;
    session.end().await;
    if plan.streams.is_empty() {
        return Err(Failure::new(Step::Start, FailureCode::EmptySource, "There is no database to read."));
    }
    attempt.say(format!("The server runs {}; {} streams will be read.", plan.engine.as_str(), plan.streams.len()));
    let streams = plan.streams.iter().map(|stream| Planned {
        name: stream.name.clone(),
        format: stream.format(plan.engine),
        database: stream.facts.clone(),
    });
    Ok(Plan {
        streams: streams.collect(),
        warnings: plan.warnings.clone(),
        tools: plan.tools.clone(),
        reading: Reading::Databases { plan, login },
    })
}

fn of_files(spec: FilesSpec, session: Session) -> Plan {
    let tree = Planned { name: "tree".to_owned(), format: "tar", database: None };
    let reading = Reading::Files { spec, session: Some(session) };
    Plan { streams: vec![tree], warnings: Warnings::default(), tools: BTreeMap::new(), reading }
}

/// Starts reading the stream at `position`, on a connection of its own.
pub(super) async fn open(
    attempt: &Attempt,
    prepared: &Prepared,
    plan: &mut Plan,
    position: usize,
) -> Result<Box<dyn StreamReader>, Failure> {
    let count = plan.streams.len();
    match &mut plan.reading {
        Reading::Files { spec, session } => {
            let session = match session.take() {
                Some(session) => session,
                None => connect(attempt, prepared).await?,
            };
            attempt.say("Starting tar on the server.");
            attempt.set_program_is_gone(None);
            let opening = within(attempt.stall(), Step::Start, files::open(session, spec));
            let reader = attempt.lease.guard(Step::Start, opening).await?;
            Ok(Box::new(reader))
        }
        Reading::Databases { plan, login } => {
            let Some(stream) = plan.streams.get(position) else {
                return Err(Failure::new(Step::Start, FailureCode::Internal, "There is no such stream."));
            };
            let session = connect(attempt, prepared).await?;
            attempt.say(format!("Dumping {:?} ({} of {count}).", stream.name, position + 1));
            attempt.set_program_is_gone(None);
            let opening = within(attempt.stall(), Step::Start, database::open(session, plan, stream, login));
            attempt.lease.guard(Step::Start, opening).await
        }
    }
}

/// Gives `work` up once nothing came of it for `limit`: a database that waits for a lock waits for ever.
pub(super) async fn within<T>(
    limit: Duration,
    step: Step,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        let detail = format!(
            "The program on the server sent nothing for {} s (a lock, or a disk that does not answer).",
            limit.as_secs()
        );
        Err(Failure::new(step, FailureCode::Stalled, detail))
    })
}

//! Opening the target on the server: a folder or a database. Nothing is written here.

use super::Job;
use super::prepare::Prepared;
use super::source::Kind;
use crate::database_login;
use holdfast_domain::restore::{DatabaseTo, ExistingPolicy, RestoreTo};
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_remote::Session;
use holdfast_sources::database::{self, DatabaseTarget};
use holdfast_sources::files_restore::{self, RestoreTarget};
use holdfast_sources::stream::StreamWriter;

/// Looks whether the target may be what the restore wants, and prepares it.
pub async fn open(
    job: &Job,
    prepared: &Prepared,
    session: Session,
    kind: Kind,
) -> Result<Box<dyn StreamWriter>, Failure> {
    match (&prepared.spec.target, kind) {
        (RestoreTo::Path { path }, Kind::Tree { entries, top_paths }) => {
            let spec = &prepared.spec;
            let target = RestoreTarget {
                path: path.clone(),
                existing: spec.existing,
                layout: spec.layout,
                top_paths,
                restore_owners: spec.restore_owners,
                expected_entries: Some(entries),
                dry_run: spec.dry_run,
            };
            Ok(Box::new(files_restore::open(session, &target).await?))
        }
        (RestoreTo::Database(to), Kind::Database(facts)) => {
            let login = database_login::of_restore(
                &job.context,
                (&prepared.row, to),
                (&prepared.server, &prepared.backup.task),
                facts.engine,
            )?;
            let DatabaseTo { database, .. } = to.clone();
            let existing = prepared.spec.existing == ExistingPolicy::Overwrite;
            let target = DatabaseTarget { database, existing, facts, dry_run: prepared.spec.dry_run };
            database::restore(session, &target, &login).await
        }
        // The stream was chosen for this target.
        _ => Err(Failure::new(Step::Prepare, FailureCode::InvalidConfig, "The stream does not fit the target.")),
    }
}

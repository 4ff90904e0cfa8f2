//! Looks at servers and destinations on a schedule, so that people hear of one that is gone before a run needs it. What a
//! look teaches is written down where every connection is; nothing here may try a refused log-in often: some servers shut
//! out whoever does.

use crate::context::WorkerContext;
use crate::data_plane::{quick, try_destination};
use crate::{secrets, server};
use futures_util::StreamExt as _;
use holdfast_domain::FailureCode;
use holdfast_domain::ids::{BackupDestinationId, RemoteServerId};
use holdfast_domain::reachability::{Look, look_again_after};
use holdfast_domain::telling::About;
use holdfast_store::watched::Watched;
use holdfast_store::{Access, StoreError};
use std::time::Duration;

/// Taken in one go. What is taken is looked at within one round.
const TAKEN: i32 = 20;
/// Goes of one round.
const GOES: usize = 50;
/// Looked at once.
const AT_ONCE: usize = 4;
/// A look that takes longer is given up: each step of it has its own limit, and all of them together this one.
const LOOK_LIMIT: Duration = Duration::from_secs(120);

/// One round: everything that is due.
///
/// # Errors
/// The database failed; what was done stays done.
pub async fn reconcile(context: &WorkerContext) -> Result<(), StoreError> {
    let Some(every) = context.config.reachability.watch_interval else { return Ok(()) };
    let store_ids = context.store_ids();
    for _ in 0..GOES {
        let due = context.store.take_watched(TAKEN, every, (&context.name, &store_ids)).await?;
        if due.is_empty() {
            return Ok(());
        }
        let looks = due.into_iter().map(|watched| async move {
            match tokio::time::timeout(LOOK_LIMIT, look(context, watched, every)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(?watched, ?error, "it could not be looked at"),
                Err(_) => tracing::warn!(?watched, "looking at it took too long"),
            }
        });
        futures_util::stream::iter(looks).buffer_unordered(AT_ONCE).collect::<()>().await;
    }
    Ok(())
}

async fn look(context: &WorkerContext, watched: Watched, every: Duration) -> Result<(), StoreError> {
    let access = Access::system(watched.team_id, "looking at servers and destinations");
    let seen = match watched.what {
        About::Server(id) => server_at(context, &access, id).await?,
        About::Destination(id) => destination_at(context, &access, id).await?,
        About::Team | About::Task(_) => None,
    };
    let Some(seen) = seen else { return Ok(()) };
    let tx = context.store.for_team(&access).await?;
    let failures = tx.reachability().failures(watched.what).await?;
    let again = look_again_after(every, seen, failures);
    if again != every {
        tx.reachability().look_again(watched.what, again).await?;
    }
    tx.commit().await
}

/// Connects and logs in, no more; none where there is nothing to be looked at.
async fn server_at(context: &WorkerContext, access: &Access, id: RemoteServerId) -> Result<Option<Look>, StoreError> {
    let tx = context.store.for_team(access).await?;
    let Some(row) = tx.server_contact(id).load().await? else { return Ok(None) };
    let way = secrets::server_way(context, &tx, &row, None).await;
    drop(tx);
    // Which secret is missing is said by the check that somebody asks for.
    let Ok(way) = way else { return Ok(Some(Look::Refused)) };
    Ok(Some(match server::try_with(context, access, &row, &way, quick(context)).await {
        Ok(session) => {
            session.end().await;
            Look::Answered
        }
        Err(missed) if missed.failure.code == FailureCode::AuthenticationFailed => Look::Refused,
        Err(_) => Look::Failed,
    }))
}

/// Writes, reads back and deletes a small object.
async fn destination_at(
    context: &WorkerContext,
    access: &Access,
    id: BackupDestinationId,
) -> Result<Option<Look>, StoreError> {
    let steps = try_destination(context, access, id).await?;
    Ok(steps.map(|steps| if steps.iter().all(|step| step.ok) { Look::Answered } else { Look::Failed }))
}

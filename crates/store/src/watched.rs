//! Which servers and destinations are to be looked at now, whether or not anything needs them.

use crate::repositories::tickets::WORKER_ALIVE_SECS;
use crate::system::call;
use crate::{Store, StoreError};
use holdfast_domain::ids::{BackupDestinationId, RemoteServerId, TeamId};
use holdfast_domain::telling::About;
use sea_orm::FromQueryResult;
use std::time::Duration;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watched {
    /// Whose it is.
    pub team_id: TeamId,
    /// A server or a destination.
    pub what: About,
}

#[derive(FromQueryResult)]
struct Row {
    team_id: i64,
    remote_server_id: Option<i64>,
    backup_destination_id: Option<i64>,
}

impl Store {
    /// Takes at most `at_most` servers and as many destinations that are due; each is due again after `every`. `taker`, a
    /// worker that holds `store_ids`, is to look at them.
    ///
    /// # Errors
    /// The database failed.
    pub async fn take_watched(
        &self,
        at_most: i32,
        every: Duration,
        (taker, store_ids): (&str, &[String]),
    ) -> Result<Vec<Watched>, StoreError> {
        let statement = call(
            "SELECT * FROM take_watched($1, $2, $3, $4, $5)",
            [
                at_most.into(),
                every.as_secs_f64().into(),
                taker.into(),
                store_ids.to_vec().into(),
                WORKER_ALIVE_SECS.into(),
            ],
        );
        let rows = Row::find_by_statement(statement).all(self.db()).await?;
        let watched = rows.into_iter().filter_map(|row| {
            let server = row.remote_server_id.map(|id| About::Server(RemoteServerId(id)));
            let what = server.or(row.backup_destination_id.map(|id| About::Destination(BackupDestinationId(id))))?;
            Some(Watched { team_id: TeamId(row.team_id), what })
        });
        Ok(watched.collect())
    }
}

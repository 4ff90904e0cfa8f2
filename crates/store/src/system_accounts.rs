//! People before their team is known: sessions. As in [`crate::system`], each is one SECURITY DEFINER function of the
//! schema, and none returns a tenant's data.

use crate::system::call;
use crate::{Access, Store, StoreError};
use chrono::{DateTime, TimeDelta, Utc};
use holdfast_domain::ids::{SessionId, TeamId, UserId};
use holdfast_domain::{Abilities, Actor};
use sea_orm::FromQueryResult;

/// What a session gives.
#[derive(Clone, Debug)]
pub struct FoundSession {
    /// The right: everything that the person may do in the team it acts in.
    pub access: Access,
    /// When the person last proved who they are.
    pub authenticated_at: DateTime<Utc>,
}

#[derive(FromQueryResult)]
struct SessionRow {
    session_id: i64,
    team_id: i64,
    user_id: i64,
    authenticated_at: DateTime<Utc>,
}

impl Store {
    /// The right that a session gives at `now`; none for an unknown, ended or idle one, for one that still owes its
    /// second factor, and for one of a suspended user or team.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find_session(
        &self,
        secret_hash: &[u8],
        now: DateTime<Utc>,
        idle: TimeDelta,
    ) -> Result<Option<FoundSession>, StoreError> {
        let idle_secs = idle.as_seconds_f64();
        let values = [secret_hash.to_vec().into(), now.into(), idle_secs.into()];
        let statement = call("SELECT * FROM find_session($1, $2, $3)", values);
        let Some(row) = SessionRow::find_by_statement(statement).one(self.db()).await? else { return Ok(None) };
        let actor = Actor::Session { session_id: SessionId(row.session_id), user_id: UserId(row.user_id) };
        Ok(Some(FoundSession {
            access: Access::new(actor, TeamId(row.team_id), Abilities::All),
            authenticated_at: row.authenticated_at,
        }))
    }
}

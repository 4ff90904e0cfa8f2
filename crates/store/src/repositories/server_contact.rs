//! What a connection to a server taught: whether it is reachable, and which host key it showed. Nothing here may
//! confirm a key that somebody should look at first: a shown key is pending until it is accepted or trusted by rule.

use crate::{StoreError, TeamTx, rows};
use holdfast_domain::ids::RemoteServerId;
use holdfast_domain::notification::EventKind;
use holdfast_domain::telling::About;
use sea_orm::{ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, Statement, Value};

/// What a connection ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContactOutcome {
    /// Logged in.
    Online,
    /// Not reached, or not let in.
    Offline,
    /// Reached, and stopped before logging in because its key is not confirmed.
    KeyUnconfirmed,
}

/// The connection that taught it.
#[derive(Clone, Copy, Debug)]
pub struct Contact<'a> {
    /// The address that was contacted: a row edited meanwhile to another one learns nothing.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
    /// The servers through which it was reached: the same address behind others is another server.
    pub jump_ids: &'a [i64],
    /// What came of it.
    pub outcome: ContactOutcome,
    /// The key it showed, in OpenSSH form, if it came that far.
    pub host_key: Option<&'a str>,
}

/// One server's contacts.
pub struct ServerContact<'a> {
    tx: &'a TeamTx,
    id: RemoteServerId,
}

impl TeamTx {
    /// What connections to server `id` teach.
    #[must_use]
    pub fn server_contact(&self, id: RemoteServerId) -> ServerContact<'_> {
        ServerContact { tx: self, id }
    }
}

impl ServerContact<'_> {
    /// The server, unless it is deleted.
    ///
    /// # Errors
    /// The database failed.
    pub async fn load(&self) -> Result<Option<rows::remote_servers::Model>, StoreError> {
        let row = rows::remote_servers::Entity::find_by_id(self.id.0)
            .filter(rows::remote_servers::Column::TeamId.eq(self.tx.team_id().0))
            .filter(rows::remote_servers::Column::DeletedAt.is_null());
        Ok(row.one(self.tx.conn()).await?)
    }

    /// Notes that a server of which nothing is known is being looked at.
    ///
    /// # Errors
    /// The database failed.
    pub async fn begin(&self) -> Result<(), StoreError> {
        let sql = "UPDATE remote_servers SET connectivity = 'checking'
                   WHERE id = $1 AND team_id = $2 AND connectivity = 'unknown' AND deleted_at IS NULL";
        self.tx.change(sql, [self.id.0.into(), self.tx.team_id().0.into()]).await.map(drop)
    }

    /// Notes a contact. A key other than the pinned one becomes *pending*, whatever the outcome, and
    /// people are told where another one was pinned.
    ///
    /// # Errors
    /// The database failed.
    pub async fn record(&self, contact: &Contact<'_>) -> Result<(), StoreError> {
        let event = self.note_other_key(contact).await?;
        let sql = "UPDATE remote_servers
             SET connectivity = CASE $6 WHEN 'online' THEN 'online' WHEN 'offline' THEN 'offline' ELSE 'unknown' END,
                 last_connected_at = CASE WHEN $6 = 'online' THEN now() ELSE last_connected_at END,
                 pending_host_key = CASE WHEN $7::text IS NOT NULL AND $7 IS DISTINCT FROM pinned_host_key
                                         THEN $7 ELSE pending_host_key END
             WHERE id = $1 AND team_id = $5 AND host = $2 AND port = $3 AND jump_ids = $4 AND deleted_at IS NULL";
        let outcome = match contact.outcome {
            ContactOutcome::Online => "online",
            ContactOutcome::Offline => "offline",
            ContactOutcome::KeyUnconfirmed => "unconfirmed",
        };
        self.execute(sql, contact, &[outcome.into(), contact.host_key.into()]).await?;
        let Some(event) = event else { return Ok(()) };
        self.tx.aside(self.tell_changed(event)).await
    }

    /// A key that is neither the pinned one nor already pending, where one is pinned, is an event of the audit log; its id.
    /// A statement of its own: one that changes the row too would not see it any more.
    async fn note_other_key(&self, contact: &Contact<'_>) -> Result<Option<i64>, StoreError> {
        let sql = "WITH before AS (
                 SELECT pinned_host_key, pending_host_key FROM remote_servers
                 WHERE id = $1 AND team_id = $5 AND host = $2 AND port = $3 AND jump_ids = $4 AND deleted_at IS NULL FOR UPDATE
             )
             INSERT INTO audit_events (team_id, action, subject, details, actor_reason)
             SELECT $5, 'remote_server.host_key_changed', 'remote_servers:' || $1::bigint,
                    jsonb_build_object('pinned', pinned_host_key, 'shown', $6::text), 'a connection'
             FROM before
             WHERE pinned_host_key IS NOT NULL AND $6::text IS DISTINCT FROM pinned_host_key
               AND $6::text IS NOT NULL AND $6::text IS DISTINCT FROM pending_host_key
             RETURNING id";
        let statement = self.statement(sql, contact, &[contact.host_key.into()]);
        let row = self.tx.conn().query_one_raw(statement).await?;
        Ok(row.map(|row| row.try_get("", "id")).transpose()?)
    }

    /// `event` is the audit event's id: each change is told once.
    async fn tell_changed(&self, event: i64) -> Result<(), StoreError> {
        let about = About::Server(self.id);
        let mut message = self.tx.outbox().message(about, format!("host_key_{event}")).await?;
        message.reason = Some(
            "Nothing was sent to it. If the server was set up anew, accept its new key; if not, somebody may stand \
             between."
                .to_owned(),
        );
        self.tx.outbox().announce(about, &[EventKind::HostKeyChanged], &message).await?;
        Ok(())
    }

    /// Pins the key of a first contact because the operator's rule says so (`ssh.first_contact = trust`), and says so
    /// in the audit log. A key that is pinned already is never replaced here. Returns whether it was pinned.
    ///
    /// # Errors
    /// The database failed.
    pub async fn pin_trusted(&self, contact: &Contact<'_>) -> Result<bool, StoreError> {
        let Some(key) = contact.host_key else {
            return Ok(false);
        };
        let sql = "WITH pinned AS (
                UPDATE remote_servers SET pinned_host_key = $6, pinned_at = now(), pending_host_key = NULL
                WHERE id = $1 AND team_id = $5 AND host = $2 AND port = $3 AND jump_ids = $4 AND deleted_at IS NULL AND pinned_host_key IS NULL
                RETURNING team_id, id)
             INSERT INTO audit_events (team_id, action, subject, details, actor_reason)
             SELECT team_id, 'remote_server.host_key_trusted', 'remote_servers:' || id, jsonb_build_object('host_key', $6::text),
                    'ssh.first_contact'
             FROM pinned";
        Ok(self.execute(sql, contact, &[key.into()]).await? == 1)
    }

    async fn execute(&self, sql: &str, contact: &Contact<'_>, rest: &[Value]) -> Result<u64, StoreError> {
        Ok(self.tx.conn().execute_raw(self.statement(sql, contact, rest)).await?.rows_affected())
    }

    fn statement(&self, sql: &str, contact: &Contact<'_>, rest: &[Value]) -> Statement {
        let mut values: Vec<Value> = vec![
            self.id.0.into(),
            contact.host.into(),
            i32::from(contact.port).into(),
            contact.jump_ids.to_vec().into(),
            self.tx.team_id().0.into(),
        ];
        values.extend_from_slice(rest);
        Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
    }
}

//! `deliveries`, the side of what leaves: claimed by a worker, tried, noted. Every write of a worker says
//! `WHERE epoch = …`. Nothing here may change a run, a task or anything else that a message tells of.

use super::{Listed, PageRequest, handle, list};
use crate::queue::{self, Job};
use crate::system::call;
use crate::{Store, StoreError, rows};
use chrono::{DateTime, Utc};
use holdfast_domain::ids::{DeliveryId, TeamId, UserId};
use holdfast_domain::notification::{Message, Ping};
use holdfast_entity::deliveries as table;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, QueryFilter, QuerySelect, QueryTrait, Select, Statement,
};

handle! {
    /// The team's messages on their way.
    Deliveries, deliveries
}

/// What a claim decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryVerdict {
    /// It is to be sent now.
    Send,
    /// Another ping of its task is on its way: later.
    Wait,
    /// It is over without being sent: quiet mode, the cap, or its tries are used up.
    Over,
}

/// What a claim won.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimedDelivery {
    /// Whose.
    pub team_id: TeamId,
    /// The right to write, until another claim raises it.
    pub epoch: i32,
    /// Tries since it was last asked for, this one included.
    pub attempt: i32,
    /// What to do.
    pub verdict: DeliveryVerdict,
}

/// How a delivery is claimed.
#[derive(Clone, Copy, Debug)]
pub struct ClaimRule {
    /// The claim holds so long.
    pub lease_secs: f64,
    /// Tries that it may have.
    pub max_attempts: i32,
    /// What a team may send in an hour that has no limit of its own; 0 = any number.
    pub usual_per_hour: i64,
}

/// Where a delivery goes.
pub enum Receiver {
    /// A stream, its secrets still sealed.
    Stream(Box<rows::notification_streams::Model>),
    /// A mail address.
    Mail(String),
    /// The dead man's switch of a task, its address still sealed.
    Ping(Box<rows::backup_tasks::Model>, Ping),
    /// It is not there any more.
    Gone,
}

/// Which deliveries are wanted; everything given must match.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    /// In this state.
    pub state: Option<String>,
    /// Over this stream.
    pub notification_stream_id: Option<i64>,
    /// Of this task.
    pub backup_task_id: Option<i64>,
}

/// A receiver that was spared messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spared {
    /// Whose.
    pub team_id: TeamId,
    /// A stream…
    pub notification_stream_id: Option<i64>,
    /// … or a person.
    pub user_id: Option<UserId>,
}

impl Store {
    /// Claims a delivery: raises its epoch and, where it is to be sent, counts the try. `None`: over, not due, or
    /// somebody else's.
    ///
    /// # Errors
    /// The database failed.
    pub async fn claim_delivery(
        &self,
        id: DeliveryId,
        owner: &str,
        rule: ClaimRule,
    ) -> Result<Option<ClaimedDelivery>, StoreError> {
        let sql = "SELECT team_id, epoch, attempt, verdict FROM claim_delivery($1, $2, $3, $4, $5)";
        let values =
            [id.0.into(), owner.into(), rule.lease_secs.into(), rule.max_attempts.into(), rule.usual_per_hour.into()];
        let Some(row) = self.db().query_one_raw(call(sql, values)).await? else { return Ok(None) };
        let verdict: String = row.try_get("", "verdict")?;
        Ok(Some(ClaimedDelivery {
            team_id: TeamId(row.try_get("", "team_id")?),
            epoch: row.try_get("", "epoch")?,
            attempt: row.try_get("", "attempt")?,
            verdict: match verdict.as_str() {
                "sending" => DeliveryVerdict::Send,
                "waits" => DeliveryVerdict::Wait,
                _ => DeliveryVerdict::Over,
            },
        }))
    }

    /// Deliveries that nobody works on, with their epoch.
    ///
    /// # Errors
    /// The database failed.
    pub async fn stray_deliveries(
        &self,
        queued_secs: f64,
        at_most: i32,
    ) -> Result<Vec<(TeamId, DeliveryId, i32)>, StoreError> {
        let sql = "SELECT team_id, delivery_id, epoch FROM stray_deliveries($1, $2)";
        let rows = self.db().query_all_raw(call(sql, [queued_secs.into(), at_most.into()])).await?;
        rows.iter()
            .map(|row| {
                let id = DeliveryId(row.try_get("", "delivery_id")?);
                Ok((TeamId(row.try_get("", "team_id")?), id, row.try_get("", "epoch")?))
            })
            .collect()
    }

    /// Receivers that were spared messages at least `after_secs` ago and wait for their summary.
    ///
    /// # Errors
    /// The database failed.
    pub async fn summaries_due(&self, after_secs: f64, at_most: i32) -> Result<Vec<Spared>, StoreError> {
        let sql = "SELECT team_id, notification_stream_id, user_id FROM summaries_due($1, $2)";
        let rows = self.db().query_all_raw(call(sql, [after_secs.into(), at_most.into()])).await?;
        rows.iter()
            .map(|row| {
                Ok(Spared {
                    team_id: TeamId(row.try_get("", "team_id")?),
                    notification_stream_id: row.try_get("", "notification_stream_id")?,
                    user_id: row.try_get::<Option<i64>>("", "user_id")?.map(UserId),
                })
            })
            .collect()
    }

    /// Forgets deliveries that are over and older than `keep_days`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn purge_deliveries(&self, keep_days: i32) -> Result<(), StoreError> {
        self.db().execute_raw(call("SELECT purge_deliveries($1)", [keep_days.into()])).await?;
        Ok(())
    }
}

impl Deliveries<'_> {
    fn select(&self) -> Select<table::Entity> {
        table::Entity::find().filter(table::Column::TeamId.eq(self.0.team_id().0))
    }

    /// A page of them.
    ///
    /// # Errors
    /// The database failed.
    pub async fn list(&self, page: PageRequest, filter: &DeliveryFilter) -> Result<Listed<table::Model>, StoreError> {
        use table::Column;
        let select = self
            .select()
            .apply_if(filter.state.as_deref(), |query, state| query.filter(Column::State.eq(state)))
            .apply_if(filter.notification_stream_id, |query, id| query.filter(Column::NotificationStreamId.eq(id)))
            .apply_if(filter.backup_task_id, |query, id| query.filter(Column::BackupTaskId.eq(id)));
        list(select, Column::Id, page, self.0.conn()).await
    }

    /// One.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find(&self, id: DeliveryId) -> Result<Option<table::Model>, StoreError> {
        Ok(self.select().filter(table::Column::Id.eq(id.0)).one(self.0.conn()).await?)
    }

    /// One, locked until the transaction ends.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find_for_update(&self, id: DeliveryId) -> Result<Option<table::Model>, StoreError> {
        Ok(self.select().filter(table::Column::Id.eq(id.0)).lock_exclusive().one(self.0.conn()).await?)
    }

    /// Sends one that is over once more, from its first try on, past caps and quiet mode: somebody asked.
    ///
    /// # Errors
    /// The database failed.
    pub async fn resend(&self, id: DeliveryId) -> Result<Option<table::Model>, StoreError> {
        let sql = "UPDATE deliveries SET state = 'pending', class = 'asked', attempts = 0, not_before = now(),
                          error_code = NULL, error_message = NULL
                   WHERE id = $1 AND team_id = $2 AND state NOT IN ('pending', 'sending')";
        if self.0.change(sql, [id.0.into(), self.0.team_id().0.into()]).await? != 1 {
            return Ok(None);
        }
        let row = self.find(id).await?;
        if let Some(row) = &row {
            queue::enqueue(self.0, Job::SendDelivery(id, row.epoch + 1)).await?;
        }
        Ok(row)
    }

    /// Where one goes.
    ///
    /// # Errors
    /// The database failed.
    pub async fn receiver(&self, delivery: &table::Model) -> Result<Receiver, StoreError> {
        if let Some(id) = delivery.notification_stream_id {
            let row = rows::notification_streams::Entity::find_by_id(id).one(self.0.conn()).await?;
            return Ok(row.map_or(Receiver::Gone, |row| Receiver::Stream(Box::new(row))));
        }
        if let Some(ping) = delivery.ping.as_deref().and_then(Ping::parse) {
            let task = rows::backup_tasks::Entity::find_by_id(delivery.backup_task_id.unwrap_or_default());
            let task = task.one(self.0.conn()).await?.filter(|task| task.sealed_ping_url.is_some());
            return Ok(task.map_or(Receiver::Gone, |task| Receiver::Ping(Box::new(task), ping)));
        }
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT email FROM users WHERE id = $1",
            [delivery.user_id.into()],
        );
        let row = self.0.conn().query_one_raw(statement).await?;
        Ok(row.map(|row| row.try_get("", "email").map(Receiver::Mail)).transpose()?.unwrap_or(Receiver::Gone))
    }

    /// What one says.
    ///
    /// # Errors
    /// The stored message is none of ours.
    pub fn message_of(&self, delivery: &table::Model) -> Result<Message, StoreError> {
        serde_json::from_value(delivery.message.clone()).map_err(|error| StoreError::Inconsistent {
            table: "deliveries",
            id: delivery.id.to_string(),
            problem: error.to_string(),
        })
    }

    /// Notes that the receiver took it; `false` when the lease is lost.
    ///
    /// # Errors
    /// The database failed.
    pub async fn sent(&self, id: DeliveryId, epoch: i32) -> Result<bool, StoreError> {
        let sql = "UPDATE deliveries SET state = 'sent', sent_at = now(), owner = NULL, lease_until = NULL,
                          error_code = NULL, error_message = NULL
                   WHERE id = $1 AND epoch = $2 AND state = 'sending'";
        Ok(self.0.change(sql, [id.0.into(), epoch.into()]).await? == 1)
    }

    /// Notes that it did not arrive, and why; another try follows in `retry_secs`, or none. `false` when the lease is
    /// lost.
    ///
    /// # Errors
    /// The database failed.
    pub async fn failed(
        &self,
        id: DeliveryId,
        epoch: i32,
        (code, sentence): (&str, &str),
        retry_secs: Option<f64>,
    ) -> Result<bool, StoreError> {
        let sql = "UPDATE deliveries
                   SET state = CASE WHEN $5::float8 IS NULL THEN 'dead' ELSE 'pending' END, owner = NULL,
                       lease_until = NULL, error_code = $3, error_message = $4,
                       not_before = now() + make_interval(secs => coalesce($5, 0))
                   WHERE id = $1 AND epoch = $2 AND state = 'sending'";
        let values = [id.0.into(), epoch.into(), code.into(), sentence.into(), retry_secs.into()];
        if self.0.change(sql, values).await? != 1 {
            return Ok(false);
        }
        if let Some(secs) = retry_secs {
            queue::enqueue_after(self.0, Job::SendDelivery(id, epoch + 1), secs).await?;
        }
        Ok(true)
    }

    /// Has another look at one that waits, in `secs`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn look_again(&self, id: DeliveryId, epoch: i32, secs: f64) -> Result<(), StoreError> {
        queue::enqueue_after(self.0, Job::SendDelivery(id, epoch + 1), secs).await
    }

    /// Untold messages of a receiver, the oldest first, at most [`UNTOLD_MAX`], locked.
    ///
    /// # Errors
    /// The database failed.
    pub async fn untold(&self, to: Spared) -> Result<Vec<table::Model>, StoreError> {
        use table::Column;
        let select = self
            .select()
            .filter(Column::State.eq("summarised"))
            .filter(Column::SummaryId.is_null())
            .apply_if(to.notification_stream_id, |query, id| query.filter(Column::NotificationStreamId.eq(id)))
            .apply_if(to.user_id, |query, id| query.filter(Column::UserId.eq(id.0)));
        let rows = sea_orm::QueryOrder::order_by_asc(select, Column::Id);
        Ok(rows.limit(UNTOLD_MAX).lock_exclusive().all(self.0.conn()).await?)
    }

    /// Adds the summary that tells of `untold`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn add_summary(&self, to: Spared, message: &Message, untold: &[table::Model]) -> Result<(), StoreError> {
        let sql = "INSERT INTO deliveries (team_id, notification_stream_id, user_id, class, message_id, message)
                   VALUES ($1, $2, $3, 'summary', $4, $5) RETURNING id";
        let values = [
            self.0.team_id().0.into(),
            to.notification_stream_id.into(),
            to.user_id.map(|id| id.0).into(),
            message.id.as_str().into(),
            super::run_execution::json(message)?.into(),
        ];
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        let Some(row) = self.0.conn().query_one_raw(statement).await? else { return Ok(()) };
        let id: i64 = row.try_get("", "id")?;
        let told = "UPDATE deliveries SET summary_id = $1 WHERE team_id = $2 AND id = ANY ($3)";
        let ids: Vec<i64> = untold.iter().map(|row| row.id).collect();
        self.0.change(told, [id.into(), self.0.team_id().0.into(), ids.into()]).await?;
        queue::enqueue(self.0, Job::SendDelivery(DeliveryId(id), 1)).await
    }

    /// Until when the team wants quiet; none where it does not, or that time is over.
    ///
    /// # Errors
    /// The database failed.
    pub async fn quiet_until(&self, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, StoreError> {
        let sql = "SELECT quiet_until FROM notification_settings WHERE team_id = $1 AND quiet_until > $2";
        let values = [self.0.team_id().0.into(), now.into()];
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        let row = self.0.conn().query_one_raw(statement).await?;
        Ok(row.map(|row| row.try_get("", "quiet_until")).transpose()?)
    }

    /// Asks for quiet until then, or ends it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn set_quiet_until(&self, until: Option<DateTime<Utc>>) -> Result<(), StoreError> {
        let sql = "INSERT INTO notification_settings (team_id, quiet_until) VALUES ($1, $2)
                   ON CONFLICT (team_id) DO UPDATE SET quiet_until = excluded.quiet_until, updated_at = now()";
        self.0.change(sql, [self.0.team_id().0.into(), until.into()]).await?;
        Ok(())
    }
}

/// Most messages that one summary tells of; the rest go into the next.
pub const UNTOLD_MAX: u64 = 10_000;

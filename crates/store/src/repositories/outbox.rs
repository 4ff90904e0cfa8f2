//! `deliveries`, the side of what becomes true: rows are added in the transaction that makes an event true, with their
//! jobs, and what is announced twice is added once. Nothing here waits for a receiver, and [`TeamTx::aside`] keeps a fault
//! of the telling from what is told of.

use super::handle;
use super::run_execution::json;
use crate::queue::{self, Job};
use crate::{StoreError, TeamTx};
use holdfast_domain::ids::{BackupDestinationId, BackupTaskId, DeliveryId, RemoteServerId, UserId};
use holdfast_domain::notification::{EventKind, Message, Ping};
use holdfast_domain::telling::{About, told};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement};

handle! {
    /// What the team is told.
    Outbox, outbox
}

/// A stream that is to hear of something.
#[derive(Clone, Debug, FromQueryResult)]
pub(super) struct Receiver {
    id: i64,
    events: Vec<String>,
}

/// Whom one delivery goes to.
#[derive(Clone, Copy)]
enum To {
    Stream(i64),
    User(UserId),
    Ping(Ping),
}

/// How caps and quiet mode treat a delivery; `deliveries.class`.
#[derive(Clone, Copy)]
enum Class {
    Ordinary,
    Absence,
    Ping,
}

/// What became true.
#[derive(Clone, Copy)]
pub(super) struct News<'a> {
    pub(super) about: About,
    /// Its names, the most telling first.
    pub(super) events: &'a [EventKind],
    pub(super) message: &'a Message,
    /// An absence began or ended: told whatever a stream chose and, where no stream hears of it, to the owner.
    pub(super) is_absence: bool,
}

#[derive(FromQueryResult)]
struct Names {
    team: String,
    now: chrono::DateTime<chrono::Utc>,
    task: Option<String>,
    server: Option<String>,
    destination: Option<String>,
    next_run_at: Option<chrono::DateTime<chrono::Utc>>,
    timezone: Option<String>,
}

impl TeamTx {
    /// Does `work`, which tells of what this transaction makes true. A fault in it that leaves the database usable is
    /// logged and costs the message alone.
    pub(crate) async fn aside(&self, work: impl Future<Output = Result<(), StoreError>>) -> Result<(), StoreError> {
        self.change("SAVEPOINT telling", []).await?;
        let Err(error) = work.await else {
            self.change("RELEASE SAVEPOINT telling", []).await?;
            return Ok(());
        };
        tracing::error!(team = %self.team_id(), ?error, "an event could not be put into the outbox");
        self.change("ROLLBACK TO SAVEPOINT telling", []).await?;
        Ok(())
    }
}

impl Outbox<'_> {
    /// Announces something that became true: one delivery for each stream that chose one of `events` (the most telling
    /// first), sent once this transaction commits. [`EventKind::Overdue`] is told whatever a stream chose and, where no
    /// stream hears of the task, to the team's owner by mail. A `message` whose id was announced before is not added
    /// again. Its `event` is set here, and its `title` where it is empty. Returns how many deliveries there are.
    ///
    /// # Errors
    /// The database failed; the transaction cannot go on then.
    pub async fn announce(&self, about: About, events: &[EventKind], message: &Message) -> Result<usize, StoreError> {
        let receivers = self.receivers(about).await?;
        let is_absence = events.contains(&EventKind::Overdue);
        self.announce_to(&receivers, News { about, events, message, is_absence }).await
    }

    /// A message about something as it is now, to be filled in and announced. `id` is the same however often it is
    /// announced: letters, digits and underscores.
    ///
    /// # Errors
    /// The database failed, or the team is gone.
    pub async fn message(&self, about: About, id: String) -> Result<Message, StoreError> {
        let sql = "SELECT g.name AS team, now() AS now, t.label AS task, s.label AS server, d.label AS destination,
                          CASE WHEN t.paused_at IS NULL THEN t.next_run_at END AS next_run_at, t.timezone
                   FROM teams g
                   LEFT JOIN backup_tasks t ON t.team_id = g.id AND t.id = $2
                   LEFT JOIN remote_servers s ON s.team_id = g.id AND s.id = coalesce($3, t.remote_server_id)
                   LEFT JOIN backup_destinations d ON d.team_id = g.id AND d.id = $4
                   WHERE g.id = $1";
        let names = Names::find_by_statement(self.statement(sql, about)).one(self.0.conn()).await?;
        let names = names.ok_or_else(|| StoreError::Inconsistent {
            table: "teams",
            id: self.0.team_id().to_string(),
            problem: "the row is gone".to_owned(),
        })?;
        Ok(Message {
            id,
            occurred_at: names.now,
            title: String::new(),
            event: None,
            team: names.team,
            task: names.task,
            server: names.server,
            destinations: names.destination.into_iter().collect(),
            state: None,
            reason: None,
            size_bytes: None,
            duration_ms: None,
            next_run_at: names.next_run_at,
            timezone: names.timezone.unwrap_or_else(|| "UTC".to_owned()),
            link: path(about),
            lines: Vec::new(),
        })
    }

    /// Mails `message` to a person of the team, once this transaction commits.
    ///
    /// # Errors
    /// The database failed.
    pub async fn mail(&self, user: UserId, message: &Message) -> Result<bool, StoreError> {
        self.add(To::User(user), (Class::Ordinary, None), message).await
    }

    /// The streams that hear of something. They stay until the transaction ends.
    pub(super) async fn receivers(&self, about: About) -> Result<Vec<Receiver>, StoreError> {
        let sql = "SELECT s.id, s.events FROM notification_streams s
                   WHERE s.team_id = $1 AND (s.is_team_wide OR EXISTS (
                       SELECT 1 FROM backup_task_notification_streams a JOIN backup_tasks t ON t.id = a.backup_task_id
                       WHERE a.notification_stream_id = s.id AND a.team_id = $1
                         AND (t.id = $2 OR t.deleted_at IS NULL AND (t.remote_server_id = $3 OR EXISTS (
                             SELECT 1 FROM backup_task_destinations d
                             WHERE d.backup_task_id = t.id AND d.backup_destination_id = $4)))))
                   ORDER BY s.id FOR KEY SHARE OF s";
        Ok(Receiver::find_by_statement(self.statement(sql, about)).all(self.0.conn()).await?)
    }

    pub(super) async fn announce_to(&self, receivers: &[Receiver], news: News<'_>) -> Result<usize, StoreError> {
        let News { about, events, message, is_absence } = news;
        let class = if is_absence { Class::Absence } else { Class::Ordinary };
        let task = if let About::Task(task) = about { Some(task) } else { None };
        let mut count = 0;
        for receiver in receivers {
            let wants: Vec<EventKind> = receiver.events.iter().filter_map(|name| EventKind::parse(name)).collect();
            let Some(event) = told(events, &wants, is_absence) else { continue };
            let message = titled(message, event, about);
            count += usize::from(self.add(To::Stream(receiver.id), (class, task), &message).await?);
        }
        if receivers.is_empty()
            && is_absence
            && let (Some(event), Some(owner)) = (events.first(), self.owner().await?)
        {
            let message = titled(message, *event, about);
            count += usize::from(self.add(To::User(owner), (class, task), &message).await?);
        }
        Ok(count)
    }

    /// Signals to the task's dead man's switch, where it has one, once this transaction commits.
    ///
    /// # Errors
    /// The database failed.
    pub(super) async fn ping(&self, task: BackupTaskId, ping: Ping, message_id: String) -> Result<(), StoreError> {
        let sql = "SELECT 1 AS one FROM backup_tasks WHERE id = $1 AND team_id = $2 AND sealed_ping_url IS NOT NULL";
        let values = [task.0.into(), self.0.team_id().0.into()];
        let wanted = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        if self.0.conn().query_one_raw(wanted).await?.is_none() {
            return Ok(());
        }
        let mut message = self.message(About::Task(task), message_id).await?;
        message.title = format!("Ping: {}", ping.human());
        self.add(To::Ping(ping), (Class::Ping, Some(task)), &message).await.map(drop)
    }

    async fn owner(&self) -> Result<Option<UserId>, StoreError> {
        let sql = "SELECT user_id FROM members WHERE team_id = $1 AND role = 'owner' ORDER BY created_at LIMIT 1";
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, [self.0.team_id().0.into()]);
        let row = self.0.conn().query_one_raw(statement).await?;
        Ok(row.map(|row| row.try_get("", "user_id").map(UserId)).transpose()?)
    }

    /// Whether it was new.
    async fn add(
        &self,
        to: To,
        (class, task): (Class, Option<BackupTaskId>),
        message: &Message,
    ) -> Result<bool, StoreError> {
        let sql = "INSERT INTO deliveries (team_id, notification_stream_id, user_id, backup_task_id, class, event,
                                           message_id, message, ping)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING RETURNING id";
        let (stream, user, ping) = match to {
            To::Stream(id) => (Some(id), None, None),
            To::User(id) => (None, Some(id.0), None),
            To::Ping(ping) => (None, None, Some(ping.as_str())),
        };
        let class = match class {
            Class::Ordinary => "ordinary",
            Class::Absence => "absence",
            Class::Ping => "ping",
        };
        let values = [
            self.0.team_id().0.into(),
            stream.into(),
            user.into(),
            task.map(|task| task.0).into(),
            class.into(),
            message.event.map(EventKind::as_str).into(),
            message.id.as_str().into(),
            json(message)?.into(),
            ping.into(),
        ];
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        let Some(row) = self.0.conn().query_one_raw(statement).await? else { return Ok(false) };
        queue::enqueue(self.0, Job::SendDelivery(DeliveryId(row.try_get("", "id")?), 1)).await?;
        Ok(true)
    }

    /// `$1` the team, `$2` a task, `$3` a server, `$4` a destination.
    fn statement(&self, sql: &'static str, about: About) -> Statement {
        let (task, server, destination) = match about {
            About::Team => (None, None, None),
            About::Task(BackupTaskId(id)) => (Some(id), None, None),
            About::Server(RemoteServerId(id)) => (None, Some(id), None),
            About::Destination(BackupDestinationId(id)) => (None, None, Some(id)),
        };
        let values = [self.0.team_id().0.into(), task.into(), server.into(), destination.into()];
        Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
    }
}

/// For one receiver.
fn titled(message: &Message, event: EventKind, about: About) -> Message {
    let named = match about {
        About::Team => Some(&message.team),
        About::Task(_) => message.task.as_ref(),
        About::Server(_) => message.server.as_ref(),
        About::Destination(_) => message.destinations.first(),
    };
    let mut message = Message { event: Some(event), ..message.clone() };
    if message.title.is_empty() {
        message.title = format!("{} {}", named.map_or("Something", String::as_str), event.human());
    }
    message
}

/// Where to look, below `http.public_url`, which a worker puts in front when it sends.
fn path(about: About) -> Option<String> {
    match about {
        About::Team => None,
        About::Task(id) => Some(format!("/backup-tasks/{id}")),
        About::Server(id) => Some(format!("/remote-servers/{id}")),
        About::Destination(id) => Some(format!("/backup-destinations/{id}")),
    }
}

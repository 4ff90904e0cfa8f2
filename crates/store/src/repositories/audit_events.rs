//! `audit_events`: who did what. Rows are added in the transaction of the act itself and never changed; the schema links
//! each to the one before it when the transaction commits. Neither details nor changes may carry a secret.

use super::{Listed, PageRequest, contains_pattern, handle, list};
use crate::audit::Changes;
use crate::{Access, Store, StoreError};
use chrono::{DateTime, Utc};
use holdfast_domain::Actor;
use holdfast_entity::audit_events as table;
use sea_orm::sea_query::{Expr, extension::postgres::PgExpr};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, ExprTrait, QueryFilter,
    Statement,
};
use serde_json::Value;

/// Faults that a verification names at most.
const FAULTS_MAX: i64 = 100;

handle! {
    /// The team's audit log.
    AuditEvents, audit_events
}

/// Which events are wanted; everything given must match.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// `<thing>.<verb>`, or `<thing>.` for all of a thing.
    pub action: Option<String>,
    /// Done by this person.
    pub user_id: Option<i64>,
    /// Done by this person, or to their account.
    pub about_user_id: Option<i64>,
    /// At or after.
    pub since: Option<DateTime<Utc>>,
    /// Before.
    pub until: Option<DateTime<Utc>>,
    /// In action, subject, changes or details.
    pub search: Option<String>,
}

/// Whether the log is as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditVerdict {
    /// Links of the chain.
    pub links: i64,
    /// The last link's hash, hex. Noted elsewhere, it shows whether the end of the log was cut off.
    pub head: Option<String>,
    /// What is wrong, in the chain's order.
    pub faults: Vec<AuditFault>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditFault {
    /// Which event.
    pub audit_event_id: i64,
    /// Its place in the chain; none when it has none.
    pub seq: Option<i64>,
    /// `changed`, `missing`, `gap_before`, `not_in_chain`.
    pub problem: String,
}

impl AuditEvents<'_> {
    /// Adds one row: `action` as `<thing>.<verb>`, `subject` as `<table>:<id>`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn record(&self, action: &str, subject: &str, details: Value) -> Result<(), StoreError> {
        self.record_change(action, subject, Changes::default(), details).await
    }

    /// As [`AuditEvents::record`], with what was changed.
    ///
    /// # Errors
    /// The database failed.
    pub async fn record_change(
        &self,
        action: &str,
        subject: &str,
        changes: Changes,
        details: Value,
    ) -> Result<(), StoreError> {
        let access = self.0.access();
        let (kind, token_id, reason) = match access.actor() {
            Actor::Token { token_id, .. } => ("token", Some(token_id.0), None),
            Actor::Session { .. } => ("session", None, None),
            Actor::System(reason) => ("system", None, Some(reason.to_owned())),
        };
        let row = table::ActiveModel {
            team_id: Set(self.0.team_id().0),
            actor: Set(if access.is_operator_elsewhere() { "operator" } else { kind }.to_owned()),
            actor_reason: Set(reason),
            user_id: Set(access.actor().user_id().map(|id| id.0)),
            token_id: Set(token_id),
            session_id: Set(access.actor().session_id().map(|id| id.0)),
            ip_address: Set(access.client_address().map(|address| address.to_string())),
            action: Set(action.to_owned()),
            subject: Set(subject.to_owned()),
            changes: Set(changes.into_json()),
            details: Set(details),
            ..Default::default()
        };
        table::Entity::insert(row).exec_without_returning(self.0.conn()).await?;
        Ok(())
    }

    /// A page of them.
    ///
    /// # Errors
    /// The database failed.
    pub async fn list(&self, page: PageRequest, filter: &AuditFilter) -> Result<Listed<table::Model>, StoreError> {
        let mut select = table::Entity::find().filter(table::Column::TeamId.eq(self.0.team_id().0));
        if let Some(action) = &filter.action {
            select = match action.strip_suffix('.') {
                Some(_) => select.filter(table::Column::Action.starts_with(action.as_str())),
                None => select.filter(table::Column::Action.eq(action.as_str())),
            };
        }
        if let Some(user) = filter.user_id {
            select = select.filter(table::Column::UserId.eq(user));
        }
        if let Some(user) = filter.about_user_id {
            let is_about = table::Column::UserId.eq(user).or(table::Column::Subject.eq(format!("users:{user}")));
            select = select.filter(is_about);
        }
        if let Some(since) = filter.since {
            select = select.filter(table::Column::CreatedAt.gte(since));
        }
        if let Some(until) = filter.until {
            select = select.filter(table::Column::CreatedAt.lt(until));
        }
        if let Some(text) = &filter.search {
            let pattern = contains_pattern(text);
            let as_text = |column| Expr::col(column).cast_as("text");
            select = select.filter(
                Condition::any()
                    .add(Expr::col(table::Column::Action).ilike(pattern.as_str()))
                    .add(Expr::col(table::Column::Subject).ilike(pattern.as_str()))
                    .add(as_text(table::Column::Changes).ilike(pattern.as_str()))
                    .add(as_text(table::Column::Details).ilike(pattern.as_str())),
            );
        }
        list(select, table::Column::Id, page, self.0.conn()).await
    }

    /// Computes the chain anew and names what does not fit.
    ///
    /// # Errors
    /// The database failed.
    pub async fn verify(&self) -> Result<AuditVerdict, StoreError> {
        let team = self.0.team_id().0;
        let head =
            "SELECT seq, encode(hash, 'hex') AS hash FROM audit_chain WHERE team_id = $1 ORDER BY seq DESC LIMIT 1";
        let head = self.0.conn().query_one_raw(statement(head, [team.into()])).await?;
        let head: Option<(i64, String)> =
            head.map(|row| Ok::<_, StoreError>((row.try_get("", "seq")?, row.try_get("", "hash")?))).transpose()?;
        let rows = self.0.conn().query_all_raw(statement(FAULTS, [team.into(), FAULTS_MAX.into()])).await?;
        let faults = rows.iter().map(|row| {
            Ok::<_, StoreError>(AuditFault {
                audit_event_id: row.try_get("", "audit_event_id")?,
                seq: row.try_get("", "seq")?,
                problem: row.try_get("", "problem")?,
            })
        });
        let (links, head) = head.map_or((0, None), |(seq, hash)| (seq, Some(hash)));
        Ok(AuditVerdict { links, head, faults: faults.collect::<Result<_, _>>()? })
    }
}

/// Every link against the link before it as it is stored, so that one edited row is one fault.
const FAULTS: &str = "
    SELECT * FROM (
        SELECT c.seq, c.audit_event_id,
               CASE WHEN e.id IS NULL THEN 'missing'
                    WHEN c.seq <> c.seq_before + 1 THEN 'gap_before'
                    WHEN c.hash <> audit_hash(c.hash_before, c.seq, e) THEN 'changed' END AS problem
        FROM (SELECT seq, audit_event_id, hash, team_id, lag(hash) OVER w AS hash_before,
                     coalesce(lag(seq) OVER w, 0) AS seq_before
              FROM audit_chain WHERE team_id = $1 WINDOW w AS (ORDER BY seq)) c
        LEFT JOIN audit_events e ON e.id = c.audit_event_id AND e.team_id = c.team_id
        UNION ALL
        SELECT NULL, e.id, 'not_in_chain' FROM audit_events e
        WHERE e.team_id = $1 AND NOT EXISTS (SELECT 1 FROM audit_chain c WHERE c.audit_event_id = e.id)
    ) found
    WHERE problem IS NOT NULL ORDER BY seq NULLS LAST, audit_event_id LIMIT $2";

fn statement<const N: usize>(sql: &'static str, values: [sea_orm::Value; N]) -> Statement {
    Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
}

impl Store {
    /// Adds one row in a transaction of its own: for what changed nothing else, as a refusal.
    ///
    /// # Errors
    /// The database failed.
    pub async fn record_audit_event(
        &self,
        access: &Access,
        action: &str,
        subject: &str,
        details: Value,
    ) -> Result<(), StoreError> {
        let tx = self.for_team(access).await?;
        tx.audit_events().record(action, subject, details).await?;
        tx.commit().await
    }
}

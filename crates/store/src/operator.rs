//! What people who run the installation do to others: the SECURITY DEFINER functions of the schema, one Rust function each.
//! Every one asks the database again whether it is an operator who acts; none returns a tenant's secret.

use crate::repositories::{Listed, PageRequest, contains_pattern, handle};
use crate::{Access, Store, StoreError, TeamTx};
use chrono::{DateTime, Utc};
use holdfast_domain::ids::{TeamId, UserId};
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, QueryResult, Statement, Value};

handle! {
    /// What somebody who runs the installation may do.
    Operator, operator
}

/// A person, as those who run the installation see them.
#[derive(Clone, Debug, FromQueryResult)]
#[expect(missing_docs, reason = "named as the columns")]
pub struct PersonRow {
    pub user_id: i64,
    pub team_id: Option<i64>,
    pub name: String,
    pub email: String,
    pub timezone: String,
    pub language: String,
    pub is_operator: bool,
    pub created_at: DateTime<Utc>,
    pub suspended_at: Option<DateTime<Utc>>,
    pub reason: Option<String>,
    pub note: Option<String>,
    pub until: Option<DateTime<Utc>>,
    pub is_closing: Option<bool>,
    pub remote_servers: i64,
    pub backup_destinations: i64,
    pub backup_tasks: i64,
    pub backups: i64,
    pub tokens: i64,
}

/// A team with its own limits.
#[derive(Clone, Debug, FromQueryResult)]
#[expect(missing_docs, reason = "named as the columns")]
pub struct TeamRow {
    pub team_id: i64,
    pub name: String,
    pub created_at: DateTime<Utc>,
    pub suspended_at: Option<DateTime<Utc>>,
    pub limits: serde_json::Value,
}

/// Which people are wanted.
#[derive(Clone, Debug, Default)]
pub struct PersonFilter {
    /// In name or e-mail.
    pub search: Option<String>,
    /// Suspended, or not.
    pub is_suspended: Option<bool>,
    /// Operators, or not.
    pub is_operator: Option<bool>,
}

/// A suspension to be made.
#[derive(Clone, Debug)]
pub struct NewSuspension {
    /// Told to nobody but operators, as the note.
    pub reason: String,
    /// More of it.
    pub note: Option<String>,
    /// When it is lifted by itself.
    pub until: Option<DateTime<Utc>>,
}

/// What an account has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Holdings {
    /// Servers.
    pub remote_servers: i64,
    /// Destinations.
    pub backup_destinations: i64,
    /// Tasks.
    pub backup_tasks: i64,
    /// Backups with a copy.
    pub backups: i64,
    /// Copies, unfinished work and leftovers: what may lie at destinations.
    pub objects: i64,
}

/// Why something was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no such person.
    Absent,
    /// It is the operator's own account.
    Myself,
    /// Suspended already.
    Suspended,
    /// Nobody would run the installation any more.
    LastOperator,
    /// It is no operator who acts.
    Forbidden,
}

fn outcome(word: &str) -> Result<Result<(), Refused>, StoreError> {
    Ok(match word {
        "done" => Ok(()),
        "absent" => Err(Refused::Absent),
        "self" => Err(Refused::Myself),
        "suspended" => Err(Refused::Suspended),
        "last_operator" => Err(Refused::LastOperator),
        "forbidden" => Err(Refused::Forbidden),
        other => {
            let problem = format!("unknown outcome {other:?}");
            return Err(StoreError::Inconsistent { table: "suspensions", id: "(function)".to_owned(), problem });
        }
    })
}

impl Operator<'_> {
    fn id(&self) -> Value {
        self.0.access().actor().user_id().map(|id| id.0).into()
    }

    async fn one(&self, sql: &'static str, values: Vec<Value>) -> Result<QueryResult, StoreError> {
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        let row = self.0.conn().query_one_raw(statement).await?;
        row.ok_or_else(|| StoreError::Inconsistent {
            table: "(function)",
            id: sql.to_owned(),
            problem: "it returned nothing".to_owned(),
        })
    }

    /// A page of people.
    ///
    /// # Errors
    /// The database failed.
    pub async fn people(&self, page: PageRequest, filter: &PersonFilter) -> Result<Listed<PersonRow>, StoreError> {
        self.people_where(None, page, filter).await
    }

    /// One person.
    ///
    /// # Errors
    /// The database failed.
    pub async fn person(&self, id: UserId) -> Result<Option<PersonRow>, StoreError> {
        let page = PageRequest { offset: 0, limit: 1, newest_first: false, by_label: false };
        Ok(self.people_where(Some(id.0), page, &PersonFilter::default()).await?.rows.pop())
    }

    async fn people_where(
        &self,
        id: Option<i64>,
        page: PageRequest,
        filter: &PersonFilter,
    ) -> Result<Listed<PersonRow>, StoreError> {
        let sql = "SELECT * FROM operator_users($1, $2, $3, $4, $5, $6, $7, $8)";
        let values: [Value; 8] = [
            self.id(),
            id.into(),
            filter.search.as_deref().map(contains_pattern).into(),
            filter.is_suspended.into(),
            filter.is_operator.into(),
            number(page.offset).into(),
            number(page.limit).into(),
            page.newest_first.into(),
        ];
        self.page(sql, values.into(), "user_id").await
    }

    /// A page of teams.
    ///
    /// # Errors
    /// The database failed.
    pub async fn teams(&self, page: PageRequest, search: Option<&str>) -> Result<Listed<TeamRow>, StoreError> {
        self.teams_where(None, page, search).await
    }

    /// One team.
    ///
    /// # Errors
    /// The database failed.
    pub async fn team(&self, id: TeamId) -> Result<Option<TeamRow>, StoreError> {
        let page = PageRequest { offset: 0, limit: 1, newest_first: false, by_label: false };
        Ok(self.teams_where(Some(id.0), page, None).await?.rows.pop())
    }

    async fn teams_where(
        &self,
        id: Option<i64>,
        page: PageRequest,
        search: Option<&str>,
    ) -> Result<Listed<TeamRow>, StoreError> {
        let values: [Value; 6] = [
            self.id(),
            id.into(),
            search.map(contains_pattern).into(),
            number(page.offset).into(),
            number(page.limit).into(),
            page.newest_first.into(),
        ];
        self.page("SELECT * FROM operator_teams($1, $2, $3, $4, $5, $6)", values.into(), "team_id").await
    }

    /// The functions return one row without an id where the page is empty, so that the total is there all the same.
    async fn page<R: FromQueryResult>(
        &self,
        sql: &'static str,
        values: Vec<Value>,
        id: &str,
    ) -> Result<Listed<R>, StoreError> {
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        let found = self.0.conn().query_all_raw(statement).await?;
        let total: i64 = found.first().map(|row| row.try_get("", "total")).transpose()?.unwrap_or(0);
        let mut rows = Vec::with_capacity(found.len());
        for row in &found {
            if row.try_get::<Option<i64>>("", id)?.is_some() {
                rows.push(R::from_query_result(row, "")?);
            }
        }
        Ok(Listed { rows, total: u64::try_from(total).unwrap_or(0) })
    }

    /// Suspends a person: with their sessions, tokens and the runs of their team, at once.
    ///
    /// # Errors
    /// The database failed.
    pub async fn suspend(&self, id: UserId, new: NewSuspension) -> Result<Result<(), Refused>, StoreError> {
        let values = vec![self.id(), id.0.into(), new.reason.into(), new.note.into(), new.until.into()];
        let row = self.one("SELECT suspend_user($1, $2, $3, $4, $5) AS word", values).await?;
        outcome(&row.try_get::<String>("", "word")?)
    }

    /// Lifts a suspension; false where there is none, or the account is being deleted.
    ///
    /// # Errors
    /// The database failed.
    pub async fn unsuspend(&self, id: UserId, note: Option<String>) -> Result<bool, StoreError> {
        let values = vec![id.0.into(), self.id(), note.into()];
        Ok(self.one("SELECT lift_suspension($1, $2, $3) AS done", values).await?.try_get("", "done")?)
    }

    /// Begins the end of somebody else's account.
    ///
    /// # Errors
    /// The database failed.
    pub async fn close_account(&self, id: UserId) -> Result<Result<(), Refused>, StoreError> {
        let row = self.one("SELECT close_account($1, $2) AS word", vec![self.id(), id.0.into()]).await?;
        outcome(&row.try_get::<String>("", "word")?)
    }

    /// Begins the end of the actor's own account.
    ///
    /// # Errors
    /// The database failed.
    pub async fn close_own_account(&self) -> Result<Result<(), Refused>, StoreError> {
        let row = self.one("SELECT close_account(NULL, $1) AS word", vec![self.id()]).await?;
        outcome(&row.try_get::<String>("", "word")?)
    }

    /// What an account has.
    ///
    /// # Errors
    /// The database failed.
    pub async fn holdings(&self, id: UserId) -> Result<Holdings, StoreError> {
        let row = self.one("SELECT * FROM account_holdings($1)", vec![id.0.into()]).await?;
        Ok(Holdings::from_query_result(&row, "")?)
    }

    /// Removes the rows of an account that is being closed; false while something of it may lie at destinations.
    ///
    /// # Errors
    /// The database failed.
    pub async fn remove_account(&self, id: UserId) -> Result<bool, StoreError> {
        Ok(self.one("SELECT remove_account($1) AS done", vec![id.0.into()]).await?.try_get("", "done")?)
    }

    /// Replaces a team's own limits; false where there is no such team.
    ///
    /// # Errors
    /// The database failed.
    pub async fn set_limits(&self, team: TeamId, limits: serde_json::Value) -> Result<bool, StoreError> {
        let values = vec![self.id(), team.0.into(), limits.into()];
        Ok(self.one("SELECT set_team_limits($1, $2, $3) AS done", values).await?.try_get("", "done")?)
    }
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

impl TeamTx {
    /// The same transaction, from here on on the rows of another team: for an operator's act that both audit logs tell.
    ///
    /// # Errors
    /// The database failed.
    pub async fn into_team_of_operator(self, team: TeamId) -> Result<Self, StoreError> {
        let access = self.access.elsewhere(team);
        Self::enter(self.txn, access).await
    }

    /// The same transaction, from here on an operator's, on the rows of `team`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn as_operator(self, operator: &Access, team: TeamId) -> Result<Self, StoreError> {
        Self::enter(self.txn, operator.clone().elsewhere(team)).await
    }

    /// Lifts a suspension whose time is over; false where it is not.
    ///
    /// # Errors
    /// The database failed.
    pub async fn lift_due_suspension(&self, id: UserId) -> Result<bool, StoreError> {
        let row = self.operator().one("SELECT lift_suspension($1, NULL, NULL) AS done", vec![id.0.into()]).await?;
        Ok(row.try_get("", "done")?)
    }
}

impl Store {
    /// People whose suspension is over, with a team of theirs.
    ///
    /// # Errors
    /// The database failed.
    pub async fn due_suspensions(&self, at_most: i32) -> Result<Vec<(UserId, Option<TeamId>)>, StoreError> {
        self.accounts("SELECT user_id, team_id FROM due_suspensions($1)", at_most).await
    }

    /// Accounts that are being closed, with each of their teams.
    ///
    /// # Errors
    /// The database failed.
    pub async fn closing_accounts(&self, at_most: i32) -> Result<Vec<(UserId, Option<TeamId>)>, StoreError> {
        self.accounts("SELECT user_id, team_id FROM closing_accounts($1)", at_most).await
    }

    async fn accounts(&self, sql: &'static str, at_most: i32) -> Result<Vec<(UserId, Option<TeamId>)>, StoreError> {
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, [at_most.into()]);
        let rows = self.db().query_all_raw(statement).await?;
        let pair = |row: &QueryResult| {
            let team: Option<i64> = row.try_get("", "team_id")?;
            Ok((UserId(row.try_get("", "user_id")?), team.map(TeamId)))
        };
        rows.iter().map(pair).collect()
    }
}

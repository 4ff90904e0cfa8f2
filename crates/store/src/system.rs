//! Before a team is known: the SECURITY DEFINER functions of the schema, one Rust function each. Each returns ids (and
//! what the next step needs to make an [`crate::Access`]); none returns a tenant's data.

use crate::{Access, Store, StoreError, TeamTx};
use holdfast_domain::ids::{TeamId, TokenId, UserId};
use holdfast_domain::{Abilities, Actor};
use holdfast_entity::vault_keys;
use sea_orm::{
    ConnectionTrait, DatabaseTransaction, DbBackend, EntityTrait, FromQueryResult, QueryOrder, Statement,
    TransactionTrait, Value,
};
use uuid::Uuid;

/// A person and their personal team, to be made in one transaction.
#[derive(Clone)]
pub struct NewAccount {
    /// Unique without regard to case.
    pub email: String,
    /// Full name; also the team's first name.
    pub name: String,
    /// Argon2id, PHC form.
    pub password_hash: String,
    /// IANA zone.
    pub timezone: String,
    /// Random.
    pub team_uuid: Uuid,
    /// Runs the installation.
    pub is_operator: bool,
}

/// What came of making an account.
pub enum AccountOutcome {
    /// Made, visible once the transaction commits: its keys and first token belong into it.
    Created {
        /// The new team's transaction.
        tx: TeamTx,
        /// The person.
        user_id: UserId,
    },
    /// The address belongs to somebody.
    EmailTaken,
    /// The set-up link is wrong, used, or somebody exists already.
    LinkClosed,
}

/// The stored password of an e-mail address.
#[derive(Clone)]
pub struct Login {
    /// The person.
    pub user_id: UserId,
    /// Their own team.
    pub team_id: TeamId,
    /// Argon2id, PHC form.
    pub password_hash: String,
}

#[derive(FromQueryResult)]
struct TokenRow {
    token_id: i64,
    team_id: i64,
    user_id: i64,
    abilities: Vec<String>,
}

#[derive(FromQueryResult)]
struct AccountRow {
    user_id: i64,
    team_id: i64,
}

#[derive(FromQueryResult)]
struct LoginRow {
    user_id: i64,
    team_id: i64,
    password_hash: String,
}

/// A call of one of the schema's functions; the text is constant, the values are bound.
pub(crate) fn call(sql: &'static str, values: impl IntoIterator<Item = Value>) -> Statement {
    Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
}

pub(crate) async fn truth(conn: &impl ConnectionTrait, statement: Statement) -> Result<bool, StoreError> {
    let row = conn.query_one_raw(statement).await?;
    Ok(row.map(|row| row.try_get_by_index::<bool>(0)).transpose()?.unwrap_or(false))
}

/// The person and their team within `txn`, which goes on as the team's.
pub(crate) async fn make_account(txn: DatabaseTransaction, new: NewAccount) -> Result<AccountOutcome, StoreError> {
    let made = call(
        "SELECT * FROM create_account($1, $2, $3, $4, $5, $6)",
        [
            new.email.into(),
            new.name.into(),
            new.password_hash.into(),
            new.timezone.into(),
            new.team_uuid.into(),
            new.is_operator.into(),
        ],
    );
    let Some(row) = AccountRow::find_by_statement(made).one(&txn).await? else {
        return Ok(AccountOutcome::EmailTaken);
    };
    let access = Access::system(TeamId(row.team_id), "a new account's first rows");
    let tx = TeamTx::enter(txn, access).await?;
    Ok(AccountOutcome::Created { tx, user_id: UserId(row.user_id) })
}

impl Store {
    /// The right that a token gives; none for an unknown, expired or revoked one, or one of a suspended user or team.
    ///
    /// # Errors
    /// The database failed, or the stored abilities are not ours.
    pub async fn find_token(&self, secret_hash: &[u8]) -> Result<Option<Access>, StoreError> {
        let statement = call("SELECT * FROM find_token($1)", [secret_hash.to_vec().into()]);
        let Some(row) = TokenRow::find_by_statement(statement).one(self.db()).await? else { return Ok(None) };
        let abilities = Abilities::parse(row.abilities.iter().map(String::as_str)).map_err(|e| {
            StoreError::Inconsistent { table: "tokens", id: row.token_id.to_string(), problem: e.to_string() }
        })?;
        let actor = Actor::Token { token_id: TokenId(row.token_id), user_id: UserId(row.user_id) };
        Ok(Some(Access::new(actor, TeamId(row.team_id), abilities)))
    }

    /// Makes a person and their team; with `setup_secret_hash`, only by using up that link in the same transaction.
    ///
    /// # Errors
    /// The database failed.
    pub async fn create_account(
        &self,
        new: NewAccount,
        setup_secret_hash: Option<&[u8]>,
    ) -> Result<AccountOutcome, StoreError> {
        let txn = self.db().begin().await?;
        if let Some(hash) = setup_secret_hash
            && !truth(&txn, call("SELECT use_setup_link($1)", [hash.to_vec().into()])).await?
        {
            return Ok(AccountOutcome::LinkClosed);
        }
        make_account(txn, new).await
    }

    /// Replaces the one-time set-up link; false once there is a user.
    ///
    /// # Errors
    /// The database failed.
    pub async fn issue_setup_link(&self, secret_hash: &[u8]) -> Result<bool, StoreError> {
        truth(self.db(), call("SELECT issue_setup_link($1)", [secret_hash.to_vec().into()])).await
    }

    /// Whether this link can still be used.
    ///
    /// # Errors
    /// The database failed.
    pub async fn setup_link_is_open(&self, secret_hash: &[u8]) -> Result<bool, StoreError> {
        truth(self.db(), call("SELECT setup_link_is_open($1)", [secret_hash.to_vec().into()])).await
    }

    /// The password row of an e-mail address.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find_login(&self, email: &str) -> Result<Option<Login>, StoreError> {
        let statement = call("SELECT * FROM find_login($1)", [email.into()]);
        let row = LoginRow::find_by_statement(statement).one(self.db()).await?;
        Ok(row.map(|row| Login {
            user_id: UserId(row.user_id),
            team_id: TeamId(row.team_id),
            password_hash: row.password_hash,
        }))
    }

    /// The public half of the workers' newest key, if one has been recorded.
    ///
    /// # Errors
    /// The database failed.
    pub async fn vault_key(&self) -> Result<Option<vault_keys::Model>, StoreError> {
        Ok(vault_keys::Entity::find().order_by_desc(vault_keys::Column::Version).one(self.db()).await?)
    }

    /// Records a worker's public key unless that version has one; returns the one that counts, to be compared.
    ///
    /// # Errors
    /// The database failed.
    pub async fn record_vault_key(&self, version: i32, public_key: &[u8]) -> Result<Vec<u8>, StoreError> {
        let statement = call("SELECT record_vault_key($1, $2)", [version.into(), public_key.to_vec().into()]);
        let row = self.db().query_one_raw(statement).await?;
        let key = row.map(|row| row.try_get_by_index::<Vec<u8>>(0)).transpose()?;
        key.ok_or_else(|| StoreError::Inconsistent {
            table: "vault_keys",
            id: version.to_string(),
            problem: "the key that was just recorded is not there".to_owned(),
        })
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// It does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.db().execute_raw(call("SELECT 1", [])).await?;
        Ok(())
    }
}

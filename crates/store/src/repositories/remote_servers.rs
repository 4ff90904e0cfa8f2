//! `remote_servers`: hosts reached by SSH. Secrets come in sealed and leave sealed.

use super::definitions::definitions;
use super::{Listed, PageRequest, handle, has_text, list_labelled};
use crate::StoreError;
use chrono::{DateTime, Utc};
use holdfast_domain::ids::{RemoteServerId, UserId};
use holdfast_entity::{backup_tasks, remote_servers as table};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ColumnTrait, EntityTrait, ExprTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait,
    sea_query::{Expr, extension::postgres::PgFunc},
};
use uuid::Uuid;

handle! {
    /// The team's servers.
    RemoteServers, remote_servers
}

/// A server to be registered.
#[derive(Clone)]
pub struct NewRemoteServer {
    /// Who registers it.
    pub user_id: UserId,
    /// Its name on the page.
    pub label: String,
    /// Address or host name.
    pub host: String,
    /// SSH port.
    pub port: u16,
    /// Log-in.
    pub username: String,
    /// `team_key`, `password` or `private_key`.
    pub auth_method: String,
    /// `russh` or `openssh`.
    pub transport: String,
    /// The servers through which it is reached, in order.
    pub jump_ids: Vec<i64>,
    /// What the sealed columns are bound to.
    pub seal_id: Uuid,
    /// Sealed log-in password.
    pub sealed_password: Option<Vec<u8>>,
    /// Sealed private key.
    pub sealed_private_key: Option<Vec<u8>>,
    /// Sealed database password.
    pub sealed_database_password: Option<Vec<u8>>,
    /// OpenSSH line, if the team gave it.
    pub pinned_host_key: Option<String>,
    /// Runs that may read it at the same time.
    pub runs_at_once: i32,
}

/// Which servers are wanted; everything given must match.
#[derive(Clone, Debug, Default)]
pub struct ServerFilter {
    /// Somewhere in the label or the host.
    pub search: Option<String>,
    /// `unknown`, `checking`, `online`, `offline`.
    pub connectivity: Option<String>,
    /// Exactly this address or host name.
    pub host: Option<String>,
    /// Exactly this log-in.
    pub username: Option<String>,
}

definitions!(RemoteServers, RemoteServerId);

impl RemoteServers<'_> {
    /// A page of them.
    ///
    /// # Errors
    /// The database failed.
    pub async fn list(&self, page: PageRequest, filter: &ServerFilter) -> Result<Listed<table::Model>, StoreError> {
        use table::Column;
        let select = self
            .select()
            .apply_if(filter.search.as_deref(), |query, text| {
                query.filter(has_text(Column::Label, text).or(has_text(Column::Host, text)))
            })
            .apply_if(filter.connectivity.as_deref(), |query, text| query.filter(Column::Connectivity.eq(text)))
            .apply_if(filter.host.as_deref(), |query, text| query.filter(Column::Host.eq(text)))
            .apply_if(filter.username.as_deref(), |query, text| query.filter(Column::Username.eq(text)));
        list_labelled(select, Column::Id, Column::Label, page, self.0.conn()).await
    }

    /// Registers one.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`] (`remote_servers_address`) where the team has host, port and user already.
    pub async fn create(&self, new: NewRemoteServer, now: DateTime<Utc>) -> Result<table::Model, StoreError> {
        let row = table::ActiveModel {
            team_id: Set(self.0.team_id().0),
            user_id: Set(new.user_id.0),
            label: Set(new.label),
            host: Set(new.host),
            port: Set(i32::from(new.port)),
            username: Set(new.username),
            auth_method: Set(new.auth_method),
            transport: Set(new.transport),
            jump_ids: Set(new.jump_ids),
            seal_id: Set(new.seal_id),
            sealed_password: Set(new.sealed_password),
            sealed_private_key: Set(new.sealed_private_key),
            sealed_database_password: Set(new.sealed_database_password),
            pinned_at: Set(new.pinned_host_key.as_ref().map(|_| now)),
            pinned_host_key: Set(new.pinned_host_key),
            runs_at_once: Set(new.runs_at_once),
            created_at: Set(now),
            updated_at: Set(now),
            ..Default::default()
        };
        Ok(row.insert(self.0.conn()).await?)
    }

    /// Those of `ids` that are there, which nobody removes until the transaction ends; in no particular order.
    ///
    /// # Errors
    /// The database failed.
    pub async fn keep(&self, ids: &[i64]) -> Result<Vec<table::Model>, StoreError> {
        let kept = self.select().filter(table::Column::Id.is_in(ids.iter().copied())).order_by_asc(table::Column::Id);
        // The weakest lock that a removal waits for: two servers can then be made each other's jump host at once.
        Ok(kept.lock(sea_orm::sea_query::LockType::KeyShare).all(self.0.conn()).await?)
    }

    /// How many servers are reached through it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn count_behind(&self, id: RemoteServerId) -> Result<u64, StoreError> {
        let is_in = Expr::value(id.0).eq(PgFunc::any(Expr::col(table::Column::JumpIds)));
        Ok(self.select().filter(is_in).count(self.0.conn()).await?)
    }

    /// Tasks (not deleted) that use it.
    ///
    /// # Errors
    /// The database failed.
    pub async fn tasks_using(&self, id: RemoteServerId) -> Result<Vec<backup_tasks::Model>, StoreError> {
        Ok(backup_tasks::Entity::find()
            .filter(backup_tasks::Column::TeamId.eq(self.0.team_id().0))
            .filter(backup_tasks::Column::RemoteServerId.eq(id.0))
            .filter(backup_tasks::Column::DeletedAt.is_null())
            .all(self.0.conn())
            .await?)
    }
}

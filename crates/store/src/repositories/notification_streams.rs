//! `notification_streams`: the channels over which people are told. Secrets come in sealed and leave sealed.

use super::{Listed, PageRequest, handle, has_text, list_labelled};
use crate::StoreError;
use chrono::{DateTime, Utc};
use holdfast_domain::ids::{NotificationStreamId, UserId};
use holdfast_entity::notification_streams as table;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect,
    QueryTrait, Select,
};
use uuid::Uuid;

handle! {
    /// The team's notification streams.
    NotificationStreams, notification_streams
}

/// A stream to be made.
#[derive(Clone)]
pub struct NewNotificationStream {
    /// Who makes it.
    pub user_id: UserId,
    /// Its name on the page.
    pub label: String,
    /// `domain::notification::StreamKind`.
    pub kind: String,
    /// `domain::notification::EventKind`, what is told over it.
    pub events: Vec<String>,
    /// Told of every task of the team.
    pub is_team_wide: bool,
    /// `domain::notification::StreamConfig`.
    pub config: serde_json::Value,
    /// What the sealed columns are bound to.
    pub seal_id: Uuid,
    /// Sealed address, URL or token.
    pub sealed_value: Vec<u8>,
    /// Sealed second secret.
    pub sealed_second_value: Option<Vec<u8>>,
    /// An e-mail address: its hash, and since when it may be sent to.
    pub address: Option<(Vec<u8>, Option<DateTime<Utc>>)>,
}

impl NotificationStreams<'_> {
    fn select(&self) -> Select<table::Entity> {
        table::Entity::find().filter(table::Column::TeamId.eq(self.0.team_id().0))
    }

    /// A page of them; `search` matches the label, `kind` the type.
    ///
    /// # Errors
    /// The database failed.
    pub async fn list(
        &self,
        page: PageRequest,
        search: Option<&str>,
        kind: Option<&str>,
    ) -> Result<Listed<table::Model>, StoreError> {
        use table::Column;
        let select = self
            .select()
            .apply_if(search, |query, text| query.filter(has_text(Column::Label, text)))
            .apply_if(kind, |query, kind| query.filter(Column::Type.eq(kind)));
        list_labelled(select, Column::Id, Column::Label, page, self.0.conn()).await
    }

    /// One.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find(&self, id: NotificationStreamId) -> Result<Option<table::Model>, StoreError> {
        Ok(self.select().filter(table::Column::Id.eq(id.0)).one(self.0.conn()).await?)
    }

    /// One, locked until the transaction ends.
    ///
    /// # Errors
    /// The database failed.
    pub async fn find_for_update(&self, id: NotificationStreamId) -> Result<Option<table::Model>, StoreError> {
        Ok(self.select().filter(table::Column::Id.eq(id.0)).lock_exclusive().one(self.0.conn()).await?)
    }

    /// Makes one.
    ///
    /// # Errors
    /// The database failed.
    pub async fn create(&self, new: NewNotificationStream, now: DateTime<Utc>) -> Result<table::Model, StoreError> {
        let (address_hash, confirmed_at) = new.address.unzip();
        let row = table::ActiveModel {
            team_id: Set(self.0.team_id().0),
            user_id: Set(new.user_id.0),
            label: Set(new.label),
            r#type: Set(new.kind),
            events: Set(new.events),
            is_team_wide: Set(new.is_team_wide),
            config: Set(new.config),
            seal_id: Set(new.seal_id),
            sealed_value: Set(new.sealed_value),
            sealed_second_value: Set(new.sealed_second_value),
            address_hash: Set(address_hash),
            confirmed_at: Set(confirmed_at.flatten()),
            created_at: Set(now),
            updated_at: Set(now),
            ..Default::default()
        };
        Ok(row.insert(self.0.conn()).await?)
    }

    /// Writes every column of a row that [`Self::find_for_update`] gave.
    ///
    /// # Errors
    /// The database failed.
    pub async fn save(&self, row: table::Model) -> Result<table::Model, StoreError> {
        Ok(row.into_active_model().reset_all().update(self.0.conn()).await?)
    }

    /// Removes one, and detaches it from every task.
    ///
    /// # Errors
    /// The database failed.
    pub async fn delete(&self, id: NotificationStreamId) -> Result<(), StoreError> {
        let own = table::Entity::delete_many().filter(table::Column::TeamId.eq(self.0.team_id().0));
        own.filter(table::Column::Id.eq(id.0)).exec(self.0.conn()).await?;
        Ok(())
    }
}

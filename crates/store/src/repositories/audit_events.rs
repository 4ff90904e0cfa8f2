//! `audit_events`: who did what. Rows are added in the transaction of the act itself and never changed. Details must
//! carry no secret.

use super::handle;
use crate::StoreError;
use holdfast_domain::Actor;
use holdfast_entity::audit_events as table;
use sea_orm::{ActiveValue::Set, EntityTrait};

handle! {
    /// The team's audit log.
    AuditEvents, audit_events
}

impl AuditEvents<'_> {
    /// Adds one row: `action` as `<thing>.<verb>`, `subject` as `<table>:<id>`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn record(&self, action: &str, subject: &str, details: serde_json::Value) -> Result<(), StoreError> {
        let (user_id, token_id) = match self.0.access().actor() {
            Actor::Token { token_id, user_id } => (Some(user_id.0), Some(token_id.0)),
            Actor::Session { user_id, .. } => (Some(user_id.0), None),
            Actor::System(_) => (None, None),
        };
        let row = table::ActiveModel {
            team_id: Set(self.0.team_id().0),
            user_id: Set(user_id),
            token_id: Set(token_id),
            action: Set(action.to_owned()),
            subject: Set(subject.to_owned()),
            details: Set(details),
            ..Default::default()
        };
        table::Entity::insert(row).exec_without_returning(self.0.conn()).await?;
        Ok(())
    }
}

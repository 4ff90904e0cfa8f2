//! One file a table. Every handle hangs on a [`crate::TeamTx`], whose row-level security holds for every statement. On the
//! requesting side every statement names the team besides: two walls, so that one mistake is not enough. A worker's
//! statements (`run_*`, `restore_execution`) name the claim's epoch instead.

use crate::StoreError;
use sea_orm::sea_query::extension::postgres::PgExpr;
use sea_orm::sea_query::{Expr, Func, SimpleExpr};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, Order, PaginatorTrait, QueryOrder, QuerySelect, Select,
};

pub mod account_mails;
pub mod audit_events;
pub mod backup_destinations;
pub mod backup_runs;
pub mod backup_tasks;
pub mod backups;
mod cancelling;
pub mod copies;
pub mod copy_execution;
pub mod copy_leftovers;
pub mod copy_requests;
mod definitions;
pub mod deliveries;
pub mod digests;
pub mod expectations;
pub mod idempotency_keys;
pub mod known_devices;
pub mod notification_streams;
pub mod outbox;
pub mod own_backups;
pub mod prunes;
pub mod reachability;
pub mod recycle_bin;
pub mod remote_servers;
pub mod restore_execution;
pub mod restores;
pub mod retention;
pub mod script_secrets;
pub mod scripts;
pub mod sealed;
pub mod server_contact;
pub mod sessions;
pub mod stream_links;
pub mod tags;
pub mod task_attachments;
pub mod task_logs;
pub mod task_scripts;
pub mod task_surroundings;
pub mod task_timing;
pub mod task_webhooks;
pub mod team_keys;
pub mod team_limits;
pub mod tickets;
pub mod tokens;
pub mod two_factors;
pub mod users;

/// Which part of a list is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// Rows to skip; fits a bigint.
    pub offset: u64,
    /// Rows to return.
    pub limit: u64,
    /// Descending instead of ascending.
    pub newest_first: bool,
    /// By the label, and by id among equal ones, instead of by id; only in lists whose rows have one.
    pub by_label: bool,
}

/// One part of a list, and how long the whole list is.
#[derive(Clone, Debug)]
pub struct Listed<T> {
    /// The rows of this part.
    pub rows: Vec<T>,
    /// All rows that match.
    pub total: u64,
}

/// Counts, orders and cuts `select`.
pub(crate) async fn list<E>(
    select: Select<E>,
    id: impl ColumnTrait,
    page: PageRequest,
    conn: &impl ConnectionTrait,
) -> Result<Listed<E::Model>, StoreError>
where
    E: EntityTrait,
    E::Model: FromQueryResult + Send + Sync,
{
    let uncut = select.clone();
    let ordered = if page.newest_first { select.order_by_desc(id) } else { select.order_by_asc(id) };
    let rows = ordered.offset(page.offset).limit(page.limit).all(conn).await?;
    listed(uncut, rows, page, conn).await
}

/// As [`list`], for rows with a label: capitals and small letters sort alike.
pub(crate) async fn list_labelled<E>(
    select: Select<E>,
    id: impl ColumnTrait,
    label: impl ColumnTrait,
    page: PageRequest,
    conn: &impl ConnectionTrait,
) -> Result<Listed<E::Model>, StoreError>
where
    E: EntityTrait,
    E::Model: FromQueryResult + Send + Sync,
{
    if !page.by_label {
        return list(select, id, page, conn).await;
    }
    let uncut = select.clone();
    let order = if page.newest_first { Order::Desc } else { Order::Asc };
    let label = SimpleExpr::from(Func::lower(Expr::col(label.as_column_ref())));
    let ordered = select.order_by(label, order.clone()).order_by(id, order);
    let rows = ordered.offset(page.offset).limit(page.limit).all(conn).await?;
    listed(uncut, rows, page, conn).await
}

/// Adds how long the whole list is. A page that is not full says so itself, and nothing has to be counted.
async fn listed<E>(
    uncut: Select<E>,
    rows: Vec<E::Model>,
    page: PageRequest,
    conn: &impl ConnectionTrait,
) -> Result<Listed<E::Model>, StoreError>
where
    E: EntityTrait,
    E::Model: FromQueryResult + Send + Sync,
{
    let count = rows.len() as u64;
    let is_last = count < page.limit && (count > 0 || page.offset == 0);
    let total = if is_last { page.offset + count } else { uncut.count(conn).await? };
    Ok(Listed { rows, total })
}

/// Whether `column` has `text` anywhere, capitals and small letters alike; the text is taken literally.
pub(crate) fn has_text(column: impl ColumnTrait, text: &str) -> SimpleExpr {
    Expr::col(column.as_column_ref()).ilike(contains_pattern(text))
}

/// `text` as a pattern that matches it literally anywhere: `%`, `_` and `\` lose their meaning.
pub(crate) fn contains_pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

/// Declares a handle type and the method of [`crate::TeamTx`] that makes it.
macro_rules! handle {
    ($(#[$doc:meta])* $name:ident, $method:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub struct $name<'a>(&'a crate::TeamTx);

        impl crate::TeamTx {
            $(#[$doc])*
            #[must_use]
            pub fn $method(&self) -> $name<'_> {
                $name(self)
            }
        }
    };
}
pub(crate) use handle;

#[cfg(test)]
mod tests {
    #[test]
    fn a_search_text_is_taken_literally() {
        assert_eq!(super::contains_pattern(r"50%_a\b"), r"%50\%\_a\\b%");
    }
}
pub mod run_commit;
pub mod run_execution;
pub mod run_inputs;
pub mod run_leftovers;
pub mod run_log;
pub mod run_scripts;
mod run_telling;
pub mod workers;

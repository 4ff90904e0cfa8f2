//! Schema changes: one file a migration, forward only, never edited after it landed.
//!
//! The SQL stands in `sql/<same name>.sql`. Never imports `entity`: rows follow the schema, not the other way round.
//! `tenant_rules` is how a table becomes a tenant's: row-level security, forced, with a policy for the owner too
//! (without it a data migration would silently change nothing under FORCE).

use sea_orm_migration::prelude::*;

mod queue;

pub use queue::migrate_queue;

macro_rules! migrations {
    ($($name:ident),+ $(,)?) => {
        $(
            #[doc = concat!("See `sql/", stringify!($name), ".sql`.")]
            mod $name {
                use sea_orm_migration::prelude::*;

                pub(super) struct Migration;

                impl MigrationName for Migration {
                    fn name(&self) -> &str { stringify!($name) }
                }

                #[async_trait::async_trait]
                impl MigrationTrait for Migration {
                    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
                        let sql = include_str!(concat!("sql/", stringify!($name), ".sql"));
                        manager.get_connection().execute_unprepared(sql).await.map(|_| ())
                    }
                }
            }
        )+

        /// All migrations, oldest first.
        pub struct Migrator;

        #[async_trait::async_trait]
        impl MigratorTrait for Migrator {
            fn migrations() -> Vec<Box<dyn MigrationTrait>> {
                vec![$(Box::new($name::Migration)),+]
            }
        }
    };
}

migrations! {
    m20261120_000001_tenancy,
    m20261120_000002_vault,
    m20261120_000003_remote_servers,
    m20261120_000004_backup_destinations,
    m20261120_000005_backup_tasks,
    m20261120_000006_backup_runs,
    m20261120_000007_backups,
    m20261120_000008_restores,
    m20261120_000009_workers,
    m20261120_000010_audit_events,
    m20261120_000011_functions,
    m20261120_000012_keeping,
    m20261120_000013_copies_and_limits,
    m20261120_000014_database_restores,
    m20261120_000015_own_backups,
    m20261129_000016_tags_and_streams,
    m20261129_000017_task_names_and_webhooks,
    m20261129_000020_sessions,
    m20261129_000021_accounts,
    m20261129_000022_login_failures,
    m20261129_000024_audit_chain,
    m20261129_000025_team_limits,
    m20261129_000026_suspensions,
    m20261129_000027_schedule_limits_and_secret_rotation,
    m20261129_000028_stream_addresses,
    m20261129_000030_deliveries,
    m20261129_000031_absence,
    m20261129_000032_reachability,
    m20261129_000035_idempotency_keys,
    m20261129_000036_credentials_planned_once,
    m20261129_000037_pings,
    m20261129_000038_digests,
    m20261129_000040_operator_figures,
    m20261129_000041_account_export,
    m20261129_000042_schedules,
    m20261129_000043_due_tasks,
    m20261129_000044_scheduled_since,
    m20261129_000045_taking,
    m20261129_000046_fair_taking,
    m20261129_000047_fleet_seen,
    m20261129_000048_live_view,
    m20261129_000049_run_logs,
    m20261129_000050_scripts,
    m20261129_000051_run_scripts,
    m20261129_000052_ways_to_servers,
    m20261129_000053_watched,
    m20261129_000054_task_figures,
}

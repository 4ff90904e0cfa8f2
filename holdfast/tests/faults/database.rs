//! Postgres goes away in the middle of a run.

use crate::stage::{POLL, Stage};
use anyhow::{Result, ensure};
use holdfast_testbed::fault_proxy::LinkPlan;
use holdfast_testbed::postgres::Cluster;
use std::time::Instant;

#[tokio::test]
async fn a_restart_of_postgres_in_the_middle_of_a_run_fails_nothing() -> Result<()> {
    let cluster = Cluster::start().await?;
    // As in a real cluster, what was committed stays.
    let database = cluster.database().await?;
    let durable = format!("ALTER DATABASE {} SET synchronous_commit = on", database.name());
    sqlx::raw_sql(sqlx::AssertSqlSafe(durable)).execute(&database.owner_pool().await?).await?;
    let stage = Stage::with(database, &[("HOLDFAST__WORKER__LEASE_SECS", "12")], "").await?;
    let plan = LinkPlan { bytes_per_second: 2_000_000, ..LinkPlan::default() };
    let (proxy, server) = stage.server_behind(plan).await?;
    let _workers = [stage.worker()?, stage.worker()?];
    let run = stage.start_run(server).await?;
    let until = Instant::now() + crate::stage::LIMIT;
    while proxy.down_bytes() < 500_000 {
        ensure!(Instant::now() < until, "nothing moves");
        tokio::time::sleep(POLL).await;
    }
    cluster.crash_and_restart().await?;
    let ended = stage.ended(&run).await?;
    ensure!(ended["status"] == "succeeded" && ended["attempt"] == 1, "{ended:#}\n{}", stage.log_of(&run).await);
    stage.assert_comes_back(&ended).await?;
    stage.assert_clean().await
}

//! Postgres goes away, hangs, or takes nothing more, in the middle of a run.

use crate::stage::{POLL, Stage};
use anyhow::{Context, Result, ensure};
use holdfast_testbed::fault_proxy::LinkPlan;
use holdfast_testbed::postgres::Cluster;
use holdfast_testbed::processes;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use sqlx::{Connection, PgConnection};
use std::time::{Duration, Instant};

/// The pool's patience is five seconds; the rest is for a busy machine.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

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

/// Stops or continues every process of the cluster: it is there, and answers nothing.
fn signal_all(cluster: &Cluster, signal: Signal) -> Result<()> {
    let file = cluster.socket_dir().join("data/postmaster.pid");
    let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let postmaster: u32 = text.lines().next().context("an empty postmaster.pid")?.trim().parse()?;
    for pid in processes::all()?.into_iter().filter(|p| p.pid == postmaster || p.parent == postmaster).map(|p| p.pid) {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("a process id")?;
        // A backend may have ended meanwhile.
        let _ = kill_process(pid, signal);
    }
    Ok(())
}

#[tokio::test]
async fn a_postgres_that_hangs_is_answered_for_and_costs_no_run() -> Result<()> {
    let cluster = Cluster::start().await?;
    let stage = Stage::with(cluster.database().await?, &[("HOLDFAST__WORKER__LEASE_SECS", "40")], "").await?;
    let plan = LinkPlan { bytes_per_second: 2_000_000, ..LinkPlan::default() };
    let (proxy, server) = stage.server_behind(plan).await?;
    let _worker = stage.worker()?;
    let run = stage.start_run(server).await?;
    let until = Instant::now() + crate::stage::LIMIT;
    while proxy.down_bytes() < 500_000 {
        ensure!(Instant::now() < until, "nothing moves");
        tokio::time::sleep(POLL).await;
    }
    signal_all(&cluster, Signal::STOP)?;
    let asked = Instant::now();
    let answer = stage.client.raw(reqwest::Method::GET, "user", None).await;
    let (took, moved) = (asked.elapsed(), proxy.down_bytes());
    signal_all(&cluster, Signal::CONT)?;
    let answer = answer?;
    ensure!(answer.status == 503 && took < ANSWERS_WITHIN, "after {took:?}: {} {}", answer.status, answer.body);
    ensure!(moved > 1_000_000, "the stream stood still: {moved} bytes");
    let ended = stage.ended(&run).await?;
    ensure!(ended["status"] == "succeeded" && ended["attempt"] == 1, "{ended:#}\n{}", stage.log_of(&run).await);
    stage.assert_comes_back(&ended).await?;
    stage.assert_clean().await
}

#[tokio::test]
async fn a_postgres_that_takes_nothing_more_refuses_runs_and_ends_none_wrongly() -> Result<()> {
    let cluster = Cluster::start().await?;
    let database = cluster.database().await?;
    let stage = Stage::with(database.clone(), &[], "").await?;
    let plan = LinkPlan { bytes_per_second: 2_000_000, ..LinkPlan::default() };
    let (proxy, server) = stage.server_behind(plan).await?;
    let task = stage.task(stage.server, &[&stage.tree]).await?;
    let _worker = stage.worker()?;
    let run = stage.start_run(server).await?;
    let until = Instant::now() + crate::stage::LIMIT;
    while proxy.down_bytes() < 500_000 {
        ensure!(Instant::now() < until, "nothing moves");
        tokio::time::sleep(POLL).await;
    }
    let set = async |value: &str| {
        let set = format!("ALTER DATABASE {} SET default_transaction_read_only = {value}", database.name());
        let mut conn = PgConnection::connect_with(&database.owner_options()).await?;
        // What is not durable yet is lost in a crash.
        sqlx::raw_sql("SET default_transaction_read_only = off; SET synchronous_commit = on")
            .execute(&mut conn)
            .await?;
        sqlx::raw_sql(sqlx::AssertSqlSafe(set)).execute(&mut conn).await?;
        // Sessions keep what they began with.
        cluster.crash_and_restart().await
    };
    set("on").await?;
    let refused =
        stage.client.raw(reqwest::Method::POST, &format!("backup-tasks/{task}/run"), Some(&json!({}))).await?;
    ensure!(refused.status == 503, "{} {}", refused.status, refused.body);
    set("off").await?;
    let ended = stage.ended(&run).await?;
    ensure!(ended["status"] == "succeeded", "{ended:#}\n{}", stage.log_of(&run).await);
    stage.assert_comes_back(&ended).await?;
    stage.assert_clean().await
}

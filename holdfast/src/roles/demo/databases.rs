//! The customer's databases: dumped over SSH to both destinations, again after each sale, and put back into new
//! databases from either copy. What came back is compared with what was there, table by table.

use super::customer::{Engine, SHOP};
use super::report::Row;
use super::walk::{Demo, POLL, worker_of};
use anyhow::{Context, Result, bail};
use holdfast_testbed::sample::TableSums;
use holdfast_testbed::steps;
use serde_json::{Value, json};
use std::time::Instant;

/// Backups that a task keeps, and the runs that make one more than that.
const KEEP: usize = 2;
const RUNS: usize = 3;

/// Backs up the shop of `engine` until one backup is too many, and restores the newest from each destination.
pub(super) async fn show(demo: &mut Demo<'_>, engine: Engine) -> Result<()> {
    demo.screen.step(&format!(
        "{}: {RUNS} backups of the shop to both destinations, {KEEP} to be kept; it sells between them",
        engine.name()
    ));
    let more = json!({
        "label": format!("{} shop", engine.name()), "encryption": {"mode": "managed"}, "maximum_backups_to_keep": KEEP,
    });
    let source = demo.customer.source(engine);
    let task = steps::create_database_task(demo.client, demo.server, &demo.destinations(), &source, more).await?;
    let mut newest = Value::Null;
    for number in 1..=RUNS {
        if number > 1 {
            demo.customer.sell(engine).await?;
        }
        newest = demo.run(task, &format!("{} backup {number}", engine.name())).await?;
    }
    demo.await_kept(task, KEEP).await?;
    let sums = demo.customer.sums(engine, SHOP).await?;
    demo.screen.step(&format!(
        "{}: restoring the newest into new databases, once from each destination, and comparing every table",
        engine.name()
    ));
    for (place, destination) in [("disk", demo.local), ("S3", demo.s3)] {
        restore(demo, engine, &newest, (place, destination), &sums).await?;
    }
    Ok(())
}

async fn restore(
    demo: &mut Demo<'_>,
    engine: Engine,
    backup: &Value,
    (place, destination): (&str, i64),
    wanted: &TableSums,
) -> Result<()> {
    let id = backup["id"].as_i64().context("a backup without an id")?;
    let database = format!("{SHOP} from {place}");
    let request = json!({
        "target": {"remote_server_id": demo.server, "database": database}, "copy_id": copy_at(backup, destination)?,
    });
    let started = Instant::now();
    let done = steps::restore(demo.client, id, &request, |restore| demo.screen.progress(restore))
        .await
        .with_context(|| format!("{}, {place}, looked at every {POLL:?}", engine.name()))?;
    let seconds = started.elapsed().as_secs_f64();
    let found = demo.customer.sums(engine, &database).await?;
    if let Some(difference) = wanted.difference(&found) {
        bail!("{} came back from {place} with a difference: {difference}", engine.name());
    }
    demo.rows.push(Row {
        what: format!("{} restore, {place}", engine.name()),
        seconds,
        equal: format!("yes ({} tables)", found.tables()),
        worker: worker_of(&done),
        ..Row::default()
    });
    Ok(())
}

/// The id of the copy of `backup` at `destination`.
pub(super) fn copy_at(backup: &Value, destination: i64) -> Result<i64> {
    let copies = backup["copies"].as_array().context("a backup without copies")?;
    let copy = copies.iter().find(|copy| copy["backup_destination_id"] == json!(destination));
    copy.and_then(|copy| copy["id"].as_i64()).with_context(|| format!("no copy at destination {destination}"))
}

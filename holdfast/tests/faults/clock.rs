//! Workers whose clock is wrong (security.md F28): what is due, leased or kept is decided by the database's clock.

use crate::stage::Stage;
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Moves the wall clock of the process that it is loaded into by `SKEW` seconds.
const SKEW: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t clock, struct timespec *at) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, at);
    const char *skew = getenv("SKEW");
    if (result == 0 && clock == CLOCK_REALTIME && skew) at->tv_sec += atol(skew);
    return result;
}
"#;

/// An hour behind, an hour ahead, ten years ahead.
const SKEWS_SECS: [&str; 3] = ["-3600", "3600", "315360000"];
const KEPT: i64 = 2;

fn shim(folder: &Path) -> Result<PathBuf> {
    let (source, library) = (folder.join("skew.c"), folder.join("skew.so"));
    std::fs::write(&source, SKEW)?;
    let built = Command::new("gcc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl").status()?;
    ensure!(built.success(), "gcc: {built}");
    Ok(library)
}

#[tokio::test]
async fn a_worker_whose_clock_is_wrong_does_what_any_other_does() -> Result<()> {
    let stage = Stage::start().await?;
    let library = shim(stage.folder.path())?;
    let library = library.to_str().context("a path that is text")?;
    let task = json!({
        "label": "kept", "type": "files", "frequency": "manual", "maximum_backups_to_keep": KEPT,
        "remote_server_id": stage.server, "backup_destination_id": stage.destination, "source": {"paths": [stage.tree]},
    });
    let task = stage.client.post("backup-tasks", &task).await?["data"]["id"].as_i64().context("a task")?;
    // Due in twelve hours: no clock of a worker makes it earlier.
    let due = "UPDATE backup_tasks SET frequency = 'daily', time_to_run_at = to_char((now() AT TIME ZONE 'UTC') + \
               interval '12 hours', 'HH24:MI'), next_run_at = now() + interval '12 hours' WHERE id = $1";
    let daily = stage.task(stage.server, &[&stage.tree]).await?;
    sqlx::query(due).bind(daily).execute(&stage.pool).await?;
    for skew in SKEWS_SECS {
        let _worker = stage.worker_with(&[("LD_PRELOAD", library), ("SKEW", skew)])?;
        for _ in 0..2 {
            let run = stage.start_run_of(task).await?;
            let ended = stage.ended(&run).await?;
            let log = stage.log_of(&run).await;
            ensure!(ended["status"] == "succeeded" && ended["attempt"] == 1, "{skew}: {ended:#}\n{log}");
            stage.assert_comes_back(&ended).await.context(skew)?;
        }
        let off: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM backup_runs WHERE abs(extract(epoch FROM now() - completed_at)) > 600",
        )
        .fetch_one(&stage.pool)
        .await?;
        ensure!(off == 0, "{skew}: {off} runs end at another time than now");
        stage.assert_clean().await?;
    }
    let scheduled: i64 = sqlx::query_scalar("SELECT count(*) FROM backup_runs WHERE trigger = 'schedule'")
        .fetch_one(&stage.pool)
        .await?;
    ensure!(scheduled == 0, "{scheduled} runs began before they were due");
    let kept = stage.client.get("backups").await?["meta"]["total"].as_i64();
    ensure!(kept.is_some_and(|kept| kept >= KEPT), "{kept:?} backups are left of {KEPT} that are kept");
    Ok(())
}

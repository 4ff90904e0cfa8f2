//! Scripts before and after a run, on a real server: order, policies, time, cancellation, and workers that die in between.

use crate::harness::World;
use crate::process::WorkerProcess;
use crate::scripts_support::{Attached, trace};
use holdfast_worker::faults::{FaultPoint, FaultPoints};
use serde_json::json;
use std::time::Duration;

const STOP: &str = "echo stopped >> \"$HOME/trace\"";
const START: &str = "echo started $HOLDFAST_STATUS >> \"$HOME/trace\"";
const FAILED: &str = "echo failure $HOLDFAST_STATUS $HOLDFAST_ERROR_CODE >> \"$HOME/trace\"";
const DONE: &str = "echo success $HOLDFAST_STATUS >> \"$HOME/trace\"";

/// The four that a careful person has.
async fn four(world: &World) {
    let list = [
        Attached::before(world.script("sh", STOP).await),
        Attached::after(world.script("sh", START).await, "always"),
        Attached::after(world.script("sh", DONE).await, "success"),
        Attached::after(world.script("sh", FAILED).await, "failure"),
    ];
    world.attach(&list).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_run_in_order_and_know_their_run() {
    let world = World::new().await;
    let facts = "printf '%s\\n' \"$HOLDFAST_PHASE $HOLDFAST_RUN_ON $HOLDFAST_STATUS $HOLDFAST_RUN_ID $HOLDFAST_ATTEMPT \
                 $HOLDFAST_TASK $HOLDFAST_TASK_LABEL $HOLDFAST_TRIGGER $HOLDFAST_DRY_RUN $N\" >> \"$HOME/trace\"; \
                 [ \"$HOLDFAST_BYTES\" -gt 0 ] && echo bytes >> \"$HOME/trace\"; :";
    let script =
        world.script_with("bash", facts, 20, json!([{"name": "N", "default": null, "is_required": false}])).await;
    let with = |attached: Attached, n: &str| attached.given(json!({"N": n}));
    world
        .attach(&[
            with(Attached::after(script, "success"), "5"),
            with(Attached::before(script), "1"),
            with(Attached::after(script, "always"), "3"),
            with(Attached::after(script, "failure"), "never"),
            with(Attached::before(script), "2"),
            with(Attached::after(script, "always"), "4"),
        ])
        .await;
    let worker = world.worker(FaultPoints::none()).await;
    let run = world.queue_run().await;
    let row = world.until_over(run).await;
    assert_eq!(row.status, "succeeded", "{row:#?} {:#?}", world.log(run).await);
    let line = |phase: &str, on: &str, status: &str, n: u8| {
        format!("{phase} {on} {status} {run} 1 {} task manual 0 {n}", world.task_id)
    };
    assert_eq!(
        trace(&world),
        [
            line("before", "always", "running", 1),
            line("before", "always", "running", 2),
            line("after", "always", "source_read", 3),
            "bytes".to_owned(),
            line("after", "always", "source_read", 4),
            "bytes".to_owned(),
            line("after", "success", "succeeded", 5),
            "bytes".to_owned(),
        ]
    );
    assert_eq!(world.owed(run).await, 0);
    worker.stop().await;
    world.assert_no_residue().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_failure_means_is_what_the_task_says() {
    let world = World::new().await;
    let worker = world.worker(FaultPoints::none()).await;
    let bad = world.script("sh", "echo a reason; exit 3").await;
    for (attached, status, warnings) in [
        (Attached::before(bad).on_failure("warn"), "succeeded_with_warnings", 1),
        (Attached::before(bad).on_failure("continue"), "succeeded", 0),
        (Attached::after(bad, "always"), "succeeded_with_warnings", 1),
        (Attached::after(bad, "always").on_failure("continue"), "succeeded", 0),
        (Attached::after(bad, "success"), "succeeded_with_warnings", 1),
        (Attached::after(bad, "success").on_failure("continue"), "succeeded", 0),
        (Attached::after(bad, "failure"), "succeeded", 0),
    ] {
        world.attach(std::slice::from_ref(&attached)).await;
        let run = world.queue_run().await;
        let row = world.until_over(run).await;
        let log = world.log(run).await;
        assert_eq!((row.status.as_str(), row.warning_count), (status, warnings), "{attached:?} {log:#?}");
        assert_eq!(world.count("SELECT count(*) FROM backups WHERE backup_run_id = $1", run.0).await, 1);
        let has_run = attached.run_on != "failure";
        assert_eq!(log.iter().any(|line| line == "| a reason"), has_run, "{log:#?}");
    }
    world.attach(&[Attached::before(bad)]).await;
    let run = world.queue_run().await;
    let row = world.until_over(run).await;
    assert_eq!((row.status.as_str(), row.attempts), ("failed", 1), "{row:#?}");
    assert_eq!(row.error_code.as_deref(), Some("script_failed"));
    assert!(row.error_message.unwrap().contains("ended with status 3"));
    assert_eq!(world.count("SELECT count(*) FROM backups WHERE backup_run_id = $1", run.0).await, 0);
    worker.stop().await;
    world.assert_no_residue().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_abort_and_after_a_bad_source_the_service_is_started_again() {
    let world = World::new().await;
    four(&world).await;
    let worker = world.worker(FaultPoints::none()).await;
    let run = world.queue_run().await;
    assert_eq!(world.until_over(run).await.status, "succeeded");
    assert_eq!(trace(&world), ["stopped", "started source_read", "success succeeded"]);
    std::fs::remove_file(world.login.home().join("trace")).unwrap();
    // The source is not there: the run fails for good.
    std::fs::rename(&world.tree, world.tree.with_extension("away")).unwrap();
    let run = world.queue_run().await;
    assert_eq!(world.until_over(run).await.error_code.as_deref(), Some("missing_path"));
    assert_eq!(trace(&world), ["stopped", "started failed", "failure failed missing_path"]);
    std::fs::remove_file(world.login.home().join("trace")).unwrap();
    let bad = world.script("sh", "echo bad >> \"$HOME/trace\"; exit 1").await;
    let list = [
        Attached::before(world.script("sh", STOP).await),
        Attached::before(bad),
        Attached::before(world.script("sh", "echo never >> \"$HOME/trace\"").await),
        Attached::after(bad, "always"),
        Attached::after(world.script("sh", START).await, "always"),
        Attached::after(world.script("sh", FAILED).await, "failure"),
    ];
    world.attach(&list).await;
    let run = world.queue_run().await;
    assert_eq!(world.until_over(run).await.error_code.as_deref(), Some("script_failed"));
    assert_eq!(trace(&world), ["stopped", "bad", "bad", "started failed", "failure failed script_failed"]);
    assert_eq!(world.owed(run).await, 0);
    worker.stop().await;
    world.assert_no_residue().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_takes_too_long_is_killed_with_all_it_started() {
    let world = World::new().await;
    let worker = world.worker(FaultPoints::none()).await;
    let stubborn =
        "trap '' TERM HUP INT\nfor n in 1 2 3; do (trap '' TERM HUP; sleep 1000) & done\necho waiting\nsleep 1000";
    let script = world.script_with("bash", stubborn, 1, json!([])).await;
    world.attach(&[Attached::before(script), Attached::after(world.script("sh", START).await, "always")]).await;
    let run = world.queue_run().await;
    let row = world.until_over(run).await;
    assert_eq!((row.status.as_str(), row.error_code.as_deref()), ("failed", Some("script_failed")));
    let log = world.log(run).await;
    assert!(
        log.iter().any(|line| line.contains("longer than 1 s and was killed, and nothing of it is left")),
        "{log:#?}"
    );
    assert!(log.iter().any(|line| line == "| waiting"), "{log:#?}");
    assert_eq!(trace(&world), ["started failed"]);
    assert!(world.login.processes().unwrap().is_empty(), "{:?}", world.login.processes());
    worker.stop().await;
    world.assert_no_residue().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_script_leaves_behind_neither_stays_nor_holds_the_run() {
    let world = World::new().await;
    let worker = world.worker(FaultPoints::none()).await;
    // A daemon that holds the output open, and one that left the group and does the same.
    let body = "sleep 1000 &\nsetsid sleep 20 &\necho $! > \"$HOME/daemon\"\necho $HOLDFAST_SCRIPT";
    let script = world.script("sh", body).await;
    let next = world.script("sh", "echo next >> \"$HOME/trace\"").await;
    world.attach(&[Attached::before(script), Attached::before(next)]).await;
    let run = world.queue_run().await;
    let row = world.until_over(run).await;
    assert_eq!(row.status, "succeeded", "{:#?}", world.log(run).await);
    assert_eq!(trace(&world), ["next"]);
    let left = world.login.processes().unwrap();
    assert!(left.iter().all(|process| !process.contains("sleep 1000")), "{left:?}");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_ends_its_script_and_starts_the_service_again() {
    let world = World::new().await;
    let worker = world.worker(FaultPoints::none()).await;
    let slow = world.script("sh", "echo stopped >> \"$HOME/trace\"; sleep 1000 & sleep 1000").await;
    world
        .attach(&[
            Attached::before(slow),
            Attached::after(world.script("sh", START).await, "always"),
            Attached::after(world.script("sh", FAILED).await, "failure"),
            Attached::after(world.script("sh", DONE).await, "success"),
        ])
        .await;
    let run = world.queue_run().await;
    world.eventually("the script runs", async || trace(&world) == ["stopped"]).await;
    world.cancel(run).await;
    let row = world.until_over(run).await;
    assert_eq!((row.status.as_str(), row.process_terminated), ("cancelled", Some(true)), "{row:#?}");
    assert_eq!(trace(&world), ["stopped", "started cancelled", "failure cancelled cancelled"]);
    worker.stop().await;
    world.assert_no_residue().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_cancelled_once_its_backup_is_recorded_keeps_it() {
    let world = World::new().await;
    let worker = world.worker(FaultPoints::none()).await;
    let slow = world.script("sh", "echo begun >> \"$HOME/trace\"; sleep 1000").await;
    world.attach(&[Attached::after(slow, "success")]).await;
    let run = world.queue_run().await;
    world.eventually("the script runs", async || trace(&world) == ["begun"]).await;
    assert_eq!((world.run(run).await.status.as_str(), world.backups().await), ("verifying", 1));
    world.cancel(run).await;
    let row = world.until_over(run).await;
    assert_eq!((row.status.as_str(), row.warning_count), ("succeeded_with_warnings", 1), "{row:#?}");
    assert_eq!(world.backups().await, 1);
    worker.stop().await;
    world.assert_no_residue().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_heir_of_a_killed_worker_starts_the_service_before_anything_else() {
    for point in ["scripts_owed", "streaming", "stored"] {
        let world = World::new().await;
        four(&world).await;
        let run = world.queue_run().await;
        WorkerProcess::start(&world, point).until_killed().await;
        assert_eq!(world.owed(run).await, 1, "{point}");
        let before = trace(&world);
        assert_eq!(before, if point == "scripts_owed" { vec![] } else { vec!["stopped"] }, "{point}");
        let heir = world.worker(FaultPoints::none()).await;
        let row = world.until_over(run).await;
        assert_eq!((row.status.as_str(), row.attempts), ("succeeded", 2), "{point} {:#?}", world.log(run).await);
        let rest = ["started abandoned", "stopped", "started source_read", "success succeeded"];
        assert_eq!(trace(&world), [before, rest.map(str::to_owned).to_vec()].concat(), "{point}");
        assert_eq!(world.owed(run).await, 0);
        heir.stop().await;
        world.assert_no_residue().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_lost_its_last_worker_still_starts_the_service() {
    let world = World::new().await;
    four(&world).await;
    let run = world.queue_run().await;
    WorkerProcess::start(&world, "streaming").until_killed().await;
    // Nobody may try again.
    sqlx::query("UPDATE backup_runs SET attempts = 99").execute(&world.pool).await.unwrap();
    let worker = world.worker(FaultPoints::none()).await;
    let row = world.until_over(run).await;
    assert_eq!((row.status.as_str(), row.error_code.as_deref()), ("failed", Some("abandoned")));
    world.eventually("what it owes is paid", async || world.owed(run).await == 0).await;
    assert_eq!(trace(&world), ["stopped", "started abandoned"]);
    worker.stop().await;
    world.assert_no_residue().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_gets_what_it_is_owed_when_it_is_back() {
    let world = World::new().await;
    four(&world).await;
    let run = world.queue_run().await;
    WorkerProcess::start(&world, "streaming").until_killed().await;
    sqlx::query("UPDATE backup_runs SET attempts = 99").execute(&world.pool).await.unwrap();
    sqlx::query("UPDATE remote_servers SET port = 1").execute(&world.pool).await.unwrap();
    let worker = world.worker(FaultPoints::none()).await;
    world.until_over(run).await;
    let tries = "SELECT scripts_tries::bigint FROM backup_runs WHERE id = $1";
    world.eventually("it was tried", async || world.count(tries, run.0).await == 1).await;
    assert_eq!(trace(&world), ["stopped"]);
    let back = "UPDATE remote_servers SET port = $1";
    sqlx::query(back).bind(i32::from(world.sshd.port())).execute(&world.pool).await.unwrap();
    world
        .eventually("it is paid", async || {
            sqlx::query("UPDATE backup_runs SET scripts_retry_at = now()").execute(&world.pool).await.unwrap();
            tokio::time::sleep(Duration::from_millis(200)).await;
            world.owed(run).await == 0
        })
        .await;
    assert_eq!(trace(&world).last().map(String::as_str), Some("started abandoned"));
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_once_the_backup_is_recorded_takes_nothing_with_it() {
    for last_attempt in [false, true] {
        let world = World::new().await;
        four(&world).await;
        let run = world.queue_run().await;
        WorkerProcess::start(&world, FaultPoint::Committed.name()).until_killed().await;
        assert_eq!((world.run(run).await.status.as_str(), world.backups().await), ("verifying", 1));
        if last_attempt {
            sqlx::query("UPDATE backup_runs SET attempts = 99").execute(&world.pool).await.unwrap();
        }
        let heir = world.worker(FaultPoints::none()).await;
        let row = world.until_over(run).await;
        assert_eq!((row.status.as_str(), row.warning_count), ("succeeded_with_warnings", 1), "{last_attempt} {row:#?}");
        assert_eq!((world.backups().await, row.error_code), (1, None));
        heir.stop().await;
        world.assert_no_residue().await;
    }
}

//! Every end of a run has a name, and is told once, in the transaction that makes it true, whatever happens to workers.

use crate::deliveries::change;
use crate::harness::World;
use crate::listener::{Listener, add_stream};
use holdfast_domain::notification::EventKind;
use holdfast_worker::faults::FaultPoints;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;

/// Everything that a stream may choose.
pub fn every_event() -> Vec<&'static str> {
    EventKind::ALL.iter().map(|event| event.as_str()).collect()
}

/// What was told of the runs of the world's task, run by run, each with whether it was written in the transaction that
/// started or ended the run: both bear the time at which that began.
pub async fn told_of_runs(world: &World) -> Vec<(String, bool)> {
    let sql = "SELECT d.event, d.created_at = CASE WHEN d.message_id LIKE '%_started' THEN r.started_at
                                                   ELSE r.completed_at END
               FROM backup_runs r LEFT JOIN deliveries d ON d.message_id IN ('run_' || r.ulid || '_started',
                                                                              'run_' || r.ulid || '_ended')
               WHERE r.backup_task_id = $1 ORDER BY r.id, d.id";
    sqlx::query_as(sql).bind(world.task_id).fetch_all(&world.pool).await.unwrap()
}

/// What is told of one run that succeeds, to a stream that wants everything.
pub fn a_success() -> [(String, bool); 2] {
    [("started".to_owned(), true), ("success".to_owned(), true)]
}

async fn read_from(world: &World, path: &std::path::Path) {
    sqlx::query("UPDATE backup_tasks SET source = $2 WHERE id = $1")
        .bind(world.task_id)
        .bind(json!({"kind": "files", "paths": [path]}))
        .execute(&world.pool)
        .await
        .unwrap();
}

async fn run(world: &World, status: &str) {
    let run = world.queue_run().await;
    let row = world.until_over(run).await;
    assert_eq!(row.status, status, "{row:#?} {:#?}", world.log(run).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_end_of_a_run_is_told_once_and_in_the_transaction_that_makes_it_true() {
    let world = World::new().await;
    let listener = Listener::start().await;
    add_stream(&world, &listener, &every_event(), None).await;
    let worker = world.worker(FaultPoints::none()).await;
    run(&world, "succeeded").await;
    let hidden = world.tree.join("hidden");
    std::fs::write(&hidden, "x").unwrap();
    std::fs::set_permissions(&hidden, std::fs::Permissions::from_mode(0o000)).unwrap();
    run(&world, "succeeded_with_warnings").await;
    std::fs::remove_file(&hidden).unwrap();
    let second = world.second_destination().await;
    world.break_destination(second).await;
    run(&world, "partial").await;
    change(&world, "DELETE FROM backup_task_destinations WHERE backup_destination_id = $1", second).await;
    run(&world, "succeeded").await;
    read_from(&world, "/nowhere/at/all".as_ref()).await;
    for _ in 0..7 {
        run(&world, "failed").await;
    }
    read_from(&world, &world.tree).await;
    run(&world, "succeeded").await;
    std::fs::remove_file(world.tree.join("noise.bin")).unwrap();
    run(&world, "succeeded_with_warnings").await;
    let ends = [
        "success",
        "warning",
        "partial",
        "recovered",
        "failure",
        "failure",
        "still_failing",
        "failure",
        "failure",
        "failure",
        "still_failing",
        "recovered",
        "suspiciously_small",
    ];
    let expected: Vec<_> =
        ends.iter().flat_map(|end| [("started".to_owned(), true), ((*end).to_owned(), true)]).collect();
    assert_eq!(told_of_runs(&world).await, expected);
    listener.until(&world, expected.len()).await;
    worker.stop().await;
    let got = listener.got();
    let mut ids: Vec<_> = got.iter().map(|got| &got.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!((got.len(), ids.len()), (expected.len(), expected.len()));
    let of = |kind: &str| &got.iter().find(|got| got.body["type"] == kind).unwrap().body["data"];
    assert_eq!(of("partial")["destinations"][0], "destination: stored");
    assert!(of("partial")["destinations"][1].as_str().unwrap().starts_with("destination: failed ("));
    assert_eq!(of("partial")["reason"], "1 of 2 destinations failed.");
    assert_eq!(of("warning")["reason"], "There was 1 warning; the run's log names it.");
    assert_eq!(of("suspiciously_small")["reason"], "It is much smaller than the backups before it.");
    assert_eq!(of("still_failing")["title"], "task is still failing");
    assert!(
        ["3 failures in a row.", "7 failures in a row."]
            .map(|line| json!([line]))
            .contains(&of("still_failing")["lines"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_is_told_to_nobody() {
    let world = World::new().await;
    let listener = Listener::start().await;
    add_stream(&world, &listener, &every_event(), None).await;
    let run = world.insert_run(world.task_id).await;
    change(&world, "UPDATE backup_runs SET cancel_requested_at = now() WHERE id = $1", run.0).await;
    let worker = world.worker(FaultPoints::none()).await;
    assert_eq!(world.until_over(run).await.status, "cancelled");
    worker.stop().await;
    assert_eq!(world.count("SELECT count(*) FROM deliveries WHERE team_id = $1", world.team_id).await, 0);
}

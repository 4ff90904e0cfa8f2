//! What becomes true beside a run's end, and what is told of it.

use crate::deliveries::change;
use crate::harness::World;
use crate::listener::{Listener, add_stream};
use holdfast_domain::ids::BackupTaskId;
use holdfast_worker::faults::FaultPoints;
use holdfast_worker::jobs::prune_task::prune_task;
use holdfast_worker::reconcile::due_tasks;
use std::os::unix::fs::PermissionsExt;

async fn reasons(world: &World, event: &str) -> Vec<String> {
    let sql = "SELECT message ->> 'reason' FROM deliveries WHERE team_id = $1 AND event = $2 ORDER BY id";
    sqlx::query_scalar(sql).bind(world.team_id).bind(event).fetch_all(&world.pool).await.unwrap()
}

const DUE: &str = "UPDATE backup_tasks SET frequency = 'custom', custom_cron = '0 * * * *',
                   next_run_at = now() - interval '5 hours' WHERE id = $1";

#[tokio::test]
async fn due_times_that_pass_while_nothing_runs_are_told_once() {
    let world = World::new().await;
    let listener = Listener::start().await;
    add_stream(&world, &listener, &["missed"], None).await;
    let context = world.context(FaultPoints::none());
    change(&world, DUE, world.task_id).await;
    due_tasks::reconcile(&context).await.unwrap();
    due_tasks::reconcile(&context).await.unwrap();
    let told = reasons(&world, "missed").await;
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("5 due times passed") || told[0].contains("4 due times passed"), "{told:?}");
}

#[tokio::test]
async fn a_due_time_that_finds_a_run_active_is_told() {
    let world = World::new().await;
    let listener = Listener::start().await;
    add_stream(&world, &listener, &["missed"], None).await;
    world.insert_run(world.task_id).await;
    change(&world, DUE, world.task_id).await;
    due_tasks::reconcile(&world.context(FaultPoints::none())).await.unwrap();
    assert_eq!(reasons(&world, "missed").await, ["Another run of this task was active when it was due."]);
    let at_once = "SELECT count(*) FROM deliveries d JOIN backup_runs r ON r.status = 'skipped'
                   AND r.completed_at = d.created_at WHERE r.backup_task_id = $1";
    assert_eq!(world.count(at_once, world.task_id).await, 1, "in the transaction that skips it");
}

#[tokio::test]
async fn a_due_time_that_is_met_is_not_told() {
    let world = World::new().await;
    let listener = Listener::start().await;
    add_stream(&world, &listener, &["missed"], None).await;
    change(&world, DUE, world.task_id).await;
    change(&world, "UPDATE backup_tasks SET next_run_at = date_trunc('hour', now()) WHERE id = $1", world.task_id)
        .await;
    due_tasks::reconcile(&world.context(FaultPoints::none())).await.unwrap();
    assert_eq!(world.count("SELECT count(*) FROM backup_runs WHERE backup_task_id = $1", world.task_id).await, 1);
    assert!(reasons(&world, "missed").await.is_empty());
}

#[tokio::test]
async fn another_host_key_is_told_once_however_often_it_is_seen() {
    let world = World::new().await;
    let listener = Listener::start().await;
    add_stream(&world, &listener, &["host_key_changed"], Some(world.task_id)).await;
    sqlx::query(
        "UPDATE remote_servers SET pinned_host_key = (SELECT public FROM team_keys WHERE purpose = 'ssh' LIMIT 1)",
    )
    .execute(&world.pool)
    .await
    .unwrap();
    let worker = world.worker(FaultPoints::none()).await;
    for _ in 0..2 {
        let run = world.until_over(world.queue_run().await).await;
        assert_eq!(run.error_code.as_deref(), Some("host_key_changed"), "{run:?}");
    }
    listener.until(&world, 1).await;
    worker.stop().await;
    let got = listener.got();
    assert_eq!(got.len(), 1);
    assert_eq!(got[0].body["data"]["title"], "server shows another host key");
    let at_once = "SELECT count(*) FROM deliveries d JOIN audit_events e ON e.action = 'remote_server.host_key_changed'
                   AND e.created_at = d.created_at WHERE d.team_id = $1";
    assert_eq!(world.count(at_once, world.team_id).await, 1, "in the transaction that notes it");
}

#[tokio::test]
async fn what_the_guard_keeps_from_the_rule_is_told_once() {
    let world = World::new().await;
    let listener = Listener::start().await;
    add_stream(&world, &listener, &["prune_refused"], None).await;
    change(&world, "UPDATE backup_tasks SET max_backups = 1 WHERE id = $1", world.task_id).await;
    let worker = world.worker(FaultPoints::none()).await;
    assert_eq!(world.until_over(world.queue_run().await).await.status, "succeeded");
    let hidden = world.tree.join("hidden");
    std::fs::write(&hidden, "x").unwrap();
    std::fs::set_permissions(&hidden, std::fs::Permissions::from_mode(0o000)).unwrap();
    for _ in 0..2 {
        // With warnings: the first one is the newest without, and stays although the rule keeps one.
        assert_eq!(world.until_over(world.queue_run().await).await.status, "succeeded_with_warnings");
        world
            .eventually("the rule is applied", async || {
                world
                    .count("SELECT count(*) FROM prunes WHERE is_plan_due AND backup_task_id = $1", world.task_id)
                    .await
                    == 0
            })
            .await;
    }
    listener.until(&world, 1).await;
    worker.stop().await;
    let told = reasons(&world, "prune_refused").await;
    assert_eq!(told, ["1 copy stays that the rule would have taken: no newer one is as good."]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_deleted_is_told_once_however_often_it_is_tried() {
    let world = World::new().await;
    let listener = Listener::start().await;
    add_stream(&world, &listener, &["prune_refused"], None).await;
    let keep = "UPDATE backup_tasks SET max_backups = 0, recycle_secs = 0 WHERE id = $1";
    change(&world, keep, world.task_id).await;
    let worker = world.worker(FaultPoints::none()).await;
    for _ in 0..2 {
        assert_eq!(world.until_over(world.queue_run().await).await.status, "succeeded");
    }
    let wanted = "SELECT count(*) FROM prunes WHERE wanted_at IS NOT NULL AND backup_task_id = $1";
    world.eventually("nothing is wanted", async || world.count(wanted, world.task_id).await == 0).await;
    worker.stop().await;
    change(&world, "UPDATE backup_tasks SET max_backups = 1 WHERE id = $1", world.task_id).await;
    for _ in 0..2 {
        let due = "UPDATE prunes SET is_plan_due = true, wanted_at = now(), not_before = now()
                   WHERE backup_task_id = $1";
        change(&world, due, world.task_id).await;
        prune_task(world.context_without_root(FaultPoints::none()), BackupTaskId(world.task_id)).await;
    }
    let told = reasons(&world, "prune_refused").await;
    assert_eq!(told, ["Copies that should go could not be deleted yet; it is tried again."]);
}

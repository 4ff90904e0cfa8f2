//! Servers and destinations that stop answering and answer again: told once each way, whatever runs and checks see.

use crate::harness::World;
use crate::listener::{Listener, add_stream};
use holdfast_worker::WorkerContext;
use holdfast_worker::faults::FaultPoints;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::net::{TcpListener, TcpStream};

const EVENTS: &[&str] = &["server_offline", "server_online", "destination_unreachable", "destination_back"];
/// What failed last, failed a minute ago.
const LATER: &str = "UPDATE unreached SET counted_at = counted_at - interval '1 minute' WHERE team_id = $1";
const UNREACHED: &str = "SELECT count(*) FROM unreached WHERE team_id = $1";
const TOLD: &str = "SELECT count(*) FROM deliveries WHERE team_id = $1";

async fn set(world: &World, sql: &'static str) {
    sqlx::query(sql).bind(world.team_id).execute(&world.pool).await.unwrap();
}

async fn status_of_a_run(world: &World) -> String {
    world.until_over(world.queue_run().await).await.status
}

/// What the listener got, by kind.
fn types(listener: &Listener) -> Vec<String> {
    listener.got().iter().map(|got| got.body["type"].as_str().unwrap().to_owned()).collect()
}

/// A port that leads to `to`, or hangs up.
struct Door {
    port: u16,
    is_open: Arc<AtomicBool>,
}

impl Door {
    async fn to(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, is_open) = (listener.local_addr().unwrap().port(), Arc::new(AtomicBool::new(true)));
        let leads = Arc::clone(&is_open);
        tokio::spawn(async move {
            while let Ok((mut from, _)) = listener.accept().await {
                if leads.load(Ordering::Relaxed) {
                    tokio::spawn(async move {
                        let mut there = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                        tokio::io::copy_bidirectional(&mut from, &mut there).await.ok();
                    });
                }
            }
        });
        Self { port, is_open }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_answering_is_told_after_two_failures_and_once_more_when_it_is_back() {
    let world = World::new().await;
    let listener = Listener::start().await;
    add_stream(&world, &listener, EVENTS, Some(world.task_id)).await;
    let door = Door::to(world.sshd.port()).await;
    sqlx::query("UPDATE remote_servers SET port = $2 WHERE id = $1")
        .bind(world.server_id)
        .bind(i32::from(door.port))
        .execute(&world.pool)
        .await
        .unwrap();
    let worker = world.worker(FaultPoints::none()).await;
    assert_eq!(status_of_a_run(&world).await, "succeeded");
    assert_eq!(world.count(UNREACHED, world.team_id).await, 0);

    // All attempts of one run come together: one failure, and no news.
    door.is_open.store(false, Ordering::Relaxed);
    assert_eq!(status_of_a_run(&world).await, "failed");
    assert_eq!(world.count(UNREACHED, world.team_id).await, 1);
    assert_eq!(world.count(TOLD, world.team_id).await, 0);
    // It answers in between: no news either.
    door.is_open.store(true, Ordering::Relaxed);
    assert_eq!(status_of_a_run(&world).await, "succeeded");
    door.is_open.store(false, Ordering::Relaxed);
    assert_eq!(status_of_a_run(&world).await, "failed");
    assert_eq!(world.count(TOLD, world.team_id).await, 0);
    for _ in 0..2 {
        set(&world, LATER).await;
        assert_eq!(status_of_a_run(&world).await, "failed");
    }
    listener.until(&world, 1).await;

    door.is_open.store(true, Ordering::Relaxed);
    for _ in 0..2 {
        assert_eq!(status_of_a_run(&world).await, "succeeded");
    }
    listener.until(&world, 2).await;
    worker.stop().await;
    assert_eq!(types(&listener), ["server_offline", "server_online"]);
    let offline = &listener.got()[0].body["data"];
    assert_eq!((&offline["title"], &offline["server"]), (&"server is offline".into(), &"server".into()));
    assert!(offline["reason"].as_str().unwrap().starts_with("Since 2"), "{offline}");
    assert_eq!(world.count(UNREACHED, world.team_id).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_address_begins_anew() {
    let world = World::new().await;
    let listener = Listener::start().await;
    add_stream(&world, &listener, EVENTS, None).await;
    let door = Door::to(world.sshd.port()).await;
    door.is_open.store(false, Ordering::Relaxed);
    let moved = "UPDATE remote_servers SET port = $2 WHERE id = $1";
    let worker = world.worker(FaultPoints::none()).await;
    sqlx::query(moved).bind(world.server_id).bind(i32::from(door.port)).execute(&world.pool).await.unwrap();
    for _ in 0..2 {
        assert_eq!(status_of_a_run(&world).await, "failed");
        set(&world, LATER).await;
    }
    listener.until(&world, 1).await;
    sqlx::query(moved).bind(world.server_id).bind(i32::from(world.sshd.port())).execute(&world.pool).await.unwrap();
    assert_eq!(status_of_a_run(&world).await, "succeeded");
    worker.stop().await;
    assert_eq!(world.count(TOLD, world.team_id).await, 1, "somebody changed it, and knows");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_is_not_there_is_told_whether_the_run_fails_or_is_partial() {
    let world = World::new().await;
    let listener = Listener::start().await;
    add_stream(&world, &listener, EVENTS, Some(world.task_id)).await;
    let worker = world.worker(FaultPoints::none()).await;
    let nowhere = "UPDATE backup_destinations SET store_id = '00000000-0000-0000-0000-000000000000' WHERE id = $1";
    let here = "UPDATE backup_destinations SET store_id = NULL WHERE id = $1";
    let go = async |sql: &'static str| sqlx::query(sql).bind(world.destination_id).execute(&world.pool).await.unwrap();
    go(nowhere).await;
    assert_eq!(status_of_a_run(&world).await, "failed");
    assert_eq!(world.count(TOLD, world.team_id).await, 0);
    set(&world, LATER).await;
    // From now on the other one takes what there is.
    world.second_destination().await;
    assert_eq!(status_of_a_run(&world).await, "partial");
    listener.until(&world, 1).await;
    go(here).await;
    assert_eq!(status_of_a_run(&world).await, "succeeded");
    listener.until(&world, 2).await;
    worker.stop().await;
    assert_eq!(types(&listener), ["destination_unreachable", "destination_back"]);
    let lost = &listener.got()[0].body["data"];
    assert_eq!(lost["destinations"], serde_json::json!(["destination"]));
    assert!(lost["reason"].as_str().unwrap().contains("store"), "{lost}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_another_living_worker_holds_is_not_out_of_reach() {
    let world = World::new().await;
    let second = world.second_destination().await;
    let other_root = tempfile::tempdir().unwrap();
    let (_, workers) = world.workers_with_a_store_each(second, other_root.path()).await;
    assert_eq!(status_of_a_run(&world).await, "partial");
    for worker in workers {
        worker.stop().await;
    }
    assert_eq!(world.count(UNREACHED, world.team_id).await, 0);
}

const EVERY: &[(&str, &str)] = &[("HOLDFAST__REACHABILITY__WATCH_INTERVAL_SECS", "3600")];
/// Everything is due, and what failed last failed a minute ago.
const DUE: &str =
    "WITH s AS (UPDATE remote_servers SET next_watch_at = now(), last_connected_at = NULL WHERE team_id = $1),
                        u AS (UPDATE unreached SET counted_at = counted_at - interval '1 minute' WHERE team_id = $1)
                   UPDATE backup_destinations SET next_watch_at = now() WHERE team_id = $1";

async fn look(world: &World, context: &WorkerContext) {
    set(world, DUE).await;
    holdfast_worker::reconcile::reachability::reconcile(context).await.unwrap();
}

/// Seconds until the next look at the server.
async fn waits(world: &World) -> f64 {
    let sql = "SELECT extract(epoch FROM next_watch_at - now())::float8 FROM remote_servers WHERE id = $1";
    sqlx::query_scalar(sql).bind(world.server_id).fetch_one(&world.pool).await.unwrap()
}

async fn connectivity(world: &World) -> String {
    let sql = "SELECT connectivity FROM remote_servers WHERE id = $1";
    sqlx::query_scalar(sql).bind(world.server_id).fetch_one(&world.pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_run_needs_is_looked_at_and_each_change_is_told_once() {
    let world = World::new().await;
    let listener = Listener::start().await;
    add_stream(&world, &listener, EVENTS, Some(world.task_id)).await;
    let door = Door::to(world.sshd.port()).await;
    sqlx::query("UPDATE remote_servers SET port = $2 WHERE id = $1")
        .bind(world.server_id)
        .bind(i32::from(door.port))
        .execute(&world.pool)
        .await
        .unwrap();
    let (one, other) = (world.context_with(FaultPoints::none(), EVERY), world.context_with(FaultPoints::none(), EVERY));
    look(&world, &one).await;
    assert_eq!(connectivity(&world).await, "online");
    assert!((3000.0..4000.0).contains(&waits(&world).await), "{}", waits(&world).await);
    assert!(world.stored_files().is_empty(), "the object of the look is gone");

    door.is_open.store(false, Ordering::Relaxed);
    look(&world, &one).await;
    assert_eq!(connectivity(&world).await, "offline");
    assert!(waits(&world).await < 301.0, "one failure is no news: soon again");
    assert_eq!(world.count(TOLD, world.team_id).await, 0);
    for _ in 0..3 {
        look(&world, &one).await;
    }
    assert_eq!(world.count(TOLD, world.team_id).await, 1);
    assert!(waits(&world).await > 7000.0, "what is gone is asked less often");

    door.is_open.store(true, Ordering::Relaxed);
    set(&world, DUE).await;
    // Two workers at once look once.
    let before = world.sshd.log().matches("Accepted publickey").count();
    let (a, b) = tokio::join!(
        holdfast_worker::reconcile::reachability::reconcile(&one),
        holdfast_worker::reconcile::reachability::reconcile(&other)
    );
    a.and(b).unwrap();
    assert_eq!(world.sshd.log().matches("Accepted publickey").count(), before + 1);
    assert_eq!((connectivity(&world).await.as_str(), world.count(TOLD, world.team_id).await), ("online", 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_log_in_is_not_tried_again_for_half_a_day_and_nothing_where_it_is_switched_off() {
    let world = World::new().await;
    let (_, other_key) = holdfast_testbed::sshd::key_pair().unwrap();
    world.sshd.authorize(world.login.name(), &other_key).unwrap();
    let off = world.context_with(FaultPoints::none(), &[("HOLDFAST__REACHABILITY__WATCH_INTERVAL_SECS", "0")]);
    look(&world, &off).await;
    assert_eq!(world.sshd.auth_attempts(), 0);
    let context = world.context_with(FaultPoints::none(), EVERY);
    look(&world, &context).await;
    let attempts = world.sshd.auth_attempts();
    assert!((1..=3).contains(&attempts), "{attempts}");
    assert!(waits(&world).await > 43_000.0);
    holdfast_worker::reconcile::reachability::reconcile(&context).await.unwrap();
    assert_eq!(world.sshd.auth_attempts(), attempts);
    // A server that let us in lately is not asked.
    sqlx::query("UPDATE remote_servers SET connectivity = 'online', last_connected_at = now(), next_watch_at = now()")
        .execute(&world.pool)
        .await
        .unwrap();
    holdfast_worker::reconcile::reachability::reconcile(&context).await.unwrap();
    assert_eq!(world.sshd.auth_attempts(), attempts);
}

//! A task's dead man's switch hears of each run, in order and whatever people are told; its trouble changes no run.

use crate::harness::{Worker, World, taker};
use axum::http::{Method, StatusCode, Uri};
use holdfast_domain::ids::TeamId;
use holdfast_domain::progress::Progress;
use holdfast_domain::run::RunStatus;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_store::repositories::run_execution::RunEnding;
use holdfast_store::taking::Taker;
use holdfast_vault::{Opener, SealContext, SealedColumn, Sealer};
use holdfast_worker::faults::FaultPoints;
use rand::SeedableRng;
use rand::rngs::StdRng;
use sqlx::Row;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use uuid::Uuid;

const DEAD: &str = "SELECT count(*) FROM deliveries WHERE backup_task_id = $1 AND ping IS NOT NULL AND state = 'dead'";
const TRIED: &str = "SELECT count(*) FROM deliveries WHERE backup_task_id = $1 AND ping IS NOT NULL AND attempts = 1
                     AND state = 'pending' AND error_code = 'receiver_failing'";
const DUE: &str = "UPDATE deliveries SET not_before = now() - interval '1 hour' WHERE backup_task_id = $1";
const STATES: &str = "SELECT ping, state FROM deliveries WHERE backup_task_id = $1 AND ping IS NOT NULL ORDER BY id";

/// A healthchecks of one check: what it was told, by method and path.
struct Switch {
    url: String,
    heard: Arc<Mutex<Vec<String>>>,
    answers: Arc<Mutex<VecDeque<u16>>>,
}

impl Switch {
    async fn start() -> Self {
        let (heard, answers) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<Mutex<VecDeque<u16>>>::default());
        let (noted, scripted) = (Arc::clone(&heard), Arc::clone(&answers));
        let take = move |method: Method, uri: Uri| async move {
            let status = scripted.lock().unwrap().pop_front().unwrap_or(200);
            noted.lock().unwrap().push(format!("{method} {uri}"));
            StatusCode::from_u16(status).unwrap()
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/ping/check", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(take)).await });
        Self { url, heard, answers }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    async fn until(&self, world: &World, count: usize) {
        world.eventually(&format!("{count} pings"), async || self.heard().len() >= count).await;
    }
}

impl World {
    async fn ping_at(&self, url: &str) {
        let sealer = Sealer::from_public_key(Opener::from_kek(self.kek()).public_key()).unwrap();
        let seal_id: Uuid = sqlx::query_scalar("SELECT seal_id FROM backup_tasks WHERE id = $1")
            .bind(self.task_id)
            .fetch_one(&self.pool)
            .await
            .unwrap();
        let place = SealContext::new(TeamId(self.team_id), SealedColumn::TaskPingUrl, seal_id);
        let sealed = sealer.seal(&place, url.as_bytes(), &mut StdRng::from_os_rng());
        sqlx::query("UPDATE backup_tasks SET sealed_ping_url = $2 WHERE id = $1")
            .bind(self.task_id)
            .bind(sealed)
            .execute(&self.pool)
            .await
            .unwrap();
    }

    async fn set(&self, sql: &'static str, id: i64) {
        sqlx::query(sql).bind(id).execute(&self.pool).await.unwrap();
    }

    async fn ping_states(&self) -> Vec<(String, String)> {
        let rows = sqlx::query(STATES).bind(self.task_id).fetch_all(&self.pool).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// Begins a run as a worker does that holds its store, so that no other worker takes it.
    async fn begin(&self) -> (holdfast_domain::ids::BackupRunId, i32) {
        self.holder_is_alive("apart").await;
        self.set("UPDATE backup_destinations SET store_id = 'apart' WHERE id = $1", self.destination_id).await;
        let run = self.insert_run(self.task_id).await;
        let apart = ["apart".to_owned()];
        let holder = Taker { store_ids: &apart, ..taker("holder", 60.0) };
        let claimed = self.store.take_run(&holder).await.unwrap().unwrap();
        self.set("UPDATE backup_destinations SET store_id = NULL WHERE id = $1", self.destination_id).await;
        (run, claimed.epoch)
    }

    async fn fail(&self, (run, epoch): (holdfast_domain::ids::BackupRunId, i32)) {
        let failure = Failure::new(Step::Connect, FailureCode::ConnectFailed, "No.");
        let tx = self.store.for_team(&self.access()).await.unwrap();
        let ending = RunEnding { failure: &failure, progress: &Progress::default(), process_terminated: None };
        assert!(tx.run_execution(run, epoch).end(RunStatus::Failed, &ending).await.unwrap());
        tx.commit().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn start_success_and_fail_are_told_through_quiet_mode_and_past_the_cap() {
    let world = World::new().await;
    let switch = Switch::start().await;
    world.ping_at(&switch.url).await;
    world
        .set(
            "INSERT INTO notification_settings (team_id, quiet_until) VALUES ($1, now() + interval '1 day')",
            world.team_id,
        )
        .await;
    world
        .set("INSERT INTO team_limits (team_id, limits) VALUES ($1, '{\"notifications_per_hour\":1}')", world.team_id)
        .await;
    let worker = world.worker(FaultPoints::none()).await;
    let run = world.begin().await;
    switch.until(&world, 1).await;
    world.fail(run).await;
    switch.until(&world, 2).await;
    assert_eq!(switch.heard(), ["POST /ping/check/start", "POST /ping/check/fail"]);

    assert_eq!(world.until_over(world.queue_run().await).await.status, "succeeded");
    world
        .eventually("the success is told", async || {
            switch.heard().last().is_some_and(|heard| heard == "POST /ping/check")
        })
        .await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_its_end_overtook_is_not_sent_behind_it_and_no_run_is_the_worse_for_it() {
    let world = World::new().await;
    let switch = Switch::start().await;
    switch.answers.lock().unwrap().push_back(503);
    world.ping_at(&switch.url).await;
    let worker = world.worker(FaultPoints::none()).await;
    let run = world.begin().await;
    world.eventually("the first try is noted", async || world.count(TRIED, world.task_id).await == 1).await;
    world.fail(run).await;
    switch.until(&world, 2).await;
    world.set(DUE, world.task_id).await;
    let over = [("start", "suppressed"), ("fail", "sent")].map(|(ping, state)| (ping.to_owned(), state.to_owned()));
    world.eventually("the start is given up", async || world.ping_states().await == over).await;
    worker.stop().await;
    assert_eq!(switch.heard(), ["POST /ping/check/start", "POST /ping/check/fail"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_go_through_the_guard_and_a_blocked_one_changes_no_run() {
    let world = World::new().await;
    // The cloud's metadata.
    world.ping_at("http://169.254.169.254/latest").await;
    let worker = Worker::start(world.context(FaultPoints::none())).await;
    assert_eq!(world.until_over(world.queue_run().await).await.status, "succeeded");
    world.eventually("the success is dead", async || world.count(DEAD, world.task_id).await >= 1).await;
    let blocked = "SELECT count(*) FROM deliveries WHERE backup_task_id = $1 AND state = 'dead' AND error_code <> 'blocked_egress'";
    assert_eq!(world.count(blocked, world.task_id).await, 0);
    worker.stop().await;
    assert_eq!(world.backups().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_without_a_switch_makes_no_ping_and_a_cancelled_run_none_at_its_end() {
    let world = World::new().await;
    let run = world.begin().await;
    world.fail(run).await;
    assert_eq!(world.ping_states().await, []);
    world.ping_at("http://127.0.0.1:9/x").await;
    let (run, epoch) = world.begin().await;
    let failure = Failure::new(Step::Stream, FailureCode::Cancelled, "The work was stopped.");
    let ending = RunEnding { failure: &failure, progress: &Progress::default(), process_terminated: None };
    let tx = world.store.for_team(&world.access()).await.unwrap();
    assert!(tx.run_execution(run, epoch).end(RunStatus::Cancelled, &ending).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(world.ping_states().await, [("start".to_owned(), "pending".to_owned())]);
}

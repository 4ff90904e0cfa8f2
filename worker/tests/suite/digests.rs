//! The weekly digest: on Monday morning of the person's zone, once, whatever clocks and workers do.

use crate::harness::World;
use chrono::{DateTime, Utc};
use holdfast_testbed::smtp::Smtp;
use holdfast_worker::WorkerContext;
use holdfast_worker::context::Clock;
use holdfast_worker::faults::FaultPoints;
use holdfast_worker::jobs::send_account_mail::send_account_mails;
use holdfast_worker::reconcile::digests;
use sqlx::Row;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

const MAILS: &str = "SELECT count(*) FROM account_mails WHERE kind = 'digest' AND $1 > 0";

/// A clock that is set.
struct SetClock(AtomicI64);

impl Clock for SetClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.0.load(Ordering::Relaxed), 0).unwrap()
    }
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Two workers that have mail and one clock.
struct Office {
    world: World,
    mails: Smtp,
    clock: Arc<SetClock>,
    workers: [Arc<WorkerContext>; 2],
}

impl Office {
    async fn new() -> Self {
        let world = World::new().await;
        let mails = Smtp::start().await.unwrap();
        let port = mails.port().to_string();
        let settings = [
            ("HOLDFAST__MAIL__HOST", "127.0.0.1"),
            ("HOLDFAST__MAIL__PORT", &port),
            ("HOLDFAST__MAIL__TLS", "none"),
            ("HOLDFAST__MAIL__FROM", "Holdfast <backup@example.com>"),
        ];
        let clock = Arc::new(SetClock(AtomicI64::new(0)));
        let workers = [(); 2].map(|()| world.context_by(clock.clone(), &settings));
        Self { world, mails, clock, workers }
    }

    /// What every worker does from time to time, all at once and more than once.
    async fn look(&self, now: &str) {
        self.clock.0.store(at(now).timestamp(), Ordering::Relaxed);
        let looks = self.workers.iter().chain(&self.workers).map(|worker| digests::reconcile(worker));
        for looked in futures_util::future::join_all(looks).await {
            looked.unwrap();
        }
    }

    async fn made(&self) -> i64 {
        self.world.count(MAILS, 1).await
    }

    async fn want(&self, zone: &str, next: &str) {
        sqlx::query("UPDATE users SET timezone = $2, next_digest_at = $3 WHERE id = $1")
            .bind(self.world.user_id)
            .bind(zone)
            .bind(at(next))
            .execute(&self.world.pool)
            .await
            .unwrap();
    }

    async fn next(&self) -> Option<DateTime<Utc>> {
        let row = sqlx::query("SELECT next_digest_at FROM users WHERE id = $1").bind(self.world.user_id);
        row.fetch_one(&self.world.pool).await.unwrap().get(0)
    }
}

async fn ended(world: &World, run: i64, at_text: &str) {
    sqlx::query("UPDATE backup_runs SET completed_at = $2 WHERE id = $1")
        .bind(run)
        .bind(at(at_text))
        .execute(&world.pool)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_comes_once_on_each_monday_at_eight_over_a_change_of_the_clock_and_tells_of_the_week() {
    let mut office = Office::new().await;
    let world = &office.world;
    let worker = world.worker(FaultPoints::none()).await;
    let good = world.queue_run().await;
    assert_eq!(world.until_over(good).await.status, "succeeded");
    worker.stop().await;
    ended(world, good.0, "2026-03-18T02:00:00Z").await;
    for at_text in ["2026-03-20T02:00:00Z", "2026-03-16T06:59:59Z", "2026-03-23T07:00:00Z"] {
        let bad = world.insert_run(world.task_id).await;
        sqlx::query("UPDATE backup_runs SET status = 'failed' WHERE id = $1")
            .bind(bad.0)
            .execute(&world.pool)
            .await
            .unwrap();
        ended(world, bad.0, at_text).await;
    }
    office.want("Europe/Berlin", "2026-03-23T07:00:00Z").await;
    office.look("2026-03-23T06:59:59Z").await;
    assert_eq!(office.made().await, 0);
    office.look("2026-03-23T07:00:00Z").await;
    assert_eq!(office.made().await, 1);
    send_account_mails(&office.workers[0]).await.unwrap();
    let mail = office.mails.mail().await.unwrap().replace("=\n", "");
    for part in [
        "Subject: Your week of backups",
        "from 2026-03-16 08:00 (Europe/Berlin) to 2026-03-23 08:00 (Europe/Berlin).",
        "Runs: 2. Failed: 1. Only at some destinations: 0. With warnings: 0. Stored: ",
        "- task: 2026-03-18 03:00 (Europe/Berlin)",
    ] {
        assert!(mail.contains(part), "{part}: {mail}");
    }
    // The clock goes forward on the 29th.
    assert_eq!(office.next().await, Some(at("2026-03-30T06:00:00Z")));
    office.look("2026-03-30T05:59:59Z").await;
    assert_eq!(office.made().await, 1);
    office.look("2026-03-30T06:00:00Z").await;
    office.look("2026-03-30T06:00:01Z").await;
    assert_eq!(office.made().await, 2);
    assert_eq!(office.next().await, Some(at("2026-04-06T06:00:00Z")));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_weeks_without_a_worker_one_comes_and_not_one_for_each() {
    let office = Office::new().await;
    office.want("America/New_York", "2026-10-19T12:00:00Z").await;
    office.look("2026-11-04T00:00:00Z").await;
    assert_eq!(office.made().await, 1);
    assert_eq!(office.next().await, Some(at("2026-11-09T13:00:00Z")), "winter time there");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_none_is_suspended_or_has_no_mail_server_gets_none() {
    let office = Office::new().await;
    office.look("2026-03-23T07:00:00Z").await;
    office.want("UTC", "2026-03-23T08:00:00Z").await;
    let suspend = "UPDATE users SET suspended_at = now() WHERE id = $1";
    sqlx::query(suspend).bind(office.world.user_id).execute(&office.world.pool).await.unwrap();
    office.look("2026-03-23T08:00:00Z").await;
    sqlx::query("UPDATE users SET suspended_at = NULL").execute(&office.world.pool).await.unwrap();
    let without = office.world.context_by(office.clock.clone(), &[]);
    digests::reconcile(&without).await.unwrap();
    assert_eq!(office.made().await, 0);
    office.look("2026-03-23T08:00:00Z").await;
    assert_eq!(office.made().await, 1);
}

//! Restores of databases that are stopped in the middle: by the death of their worker, or by somebody who asks for it.

use crate::stage::{LIMIT, POLL, Stage};
use anyhow::{Context, Result, ensure};
use holdfast_testbed::fault_proxy::{Fault, FaultProxy, LinkPlan};
use holdfast_testbed::mariadb::{ADMIN, MariaDb, PASSWORD};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::time::Instant;

/// What cannot be compressed takes seconds over the slow link.
const FILL: &str = "CREATE TABLE b (id INT PRIMARY KEY, b BLOB);
                    INSERT INTO b SELECT seq, RANDOM_BYTES(1000) FROM seq_1_to_10000";
const SUM: &str = "SET SESSION group_concat_max_len = 10000000;
                   SELECT COUNT(*), MD5(GROUP_CONCAT(MD5(b) ORDER BY id SEPARATOR '')) FROM b";
const SLOW: LinkPlan = LinkPlan { bytes_per_second: 3_000_000, after_bytes: 0, connections: 0, fault: Fault::None };

struct Scene {
    stage: Stage,
    database: MariaDb,
    backup: i64,
    far: i64,
    _link: FaultProxy,
}

impl Scene {
    /// A backup of a database, made by a worker that is gone again, and the customer's server behind a slow link.
    async fn set() -> Result<Self> {
        let database = MariaDb::start().await?;
        database.create_database("shop").await?;
        database.query("shop", FILL).await?;
        let stage = Stage::start().await?;
        let worker = stage.worker()?;
        let source = json!({"engine": "mariadb", "host": "127.0.0.1", "port": database.port(), "username": ADMIN,
                            "password": PASSWORD, "databases": ["shop"]});
        let task = json!({
            "label": "shop", "type": "database", "frequency": "manual", "maximum_backups_to_keep": 0,
            "remote_server_id": stage.server, "backup_destination_id": stage.destination, "source": source,
        });
        let task = stage.client.post("backup-tasks", &task).await?["data"]["id"].as_i64().context("a task")?;
        let run = stage.start_run_of(task).await?;
        let run = stage.ended(&run).await?;
        let backup = run["backup_id"].as_i64().with_context(|| format!("no backup: {run:#}"))?;
        drop(worker);
        let (link, far) = stage.server_behind(SLOW).await?;
        Ok(Self { stage, database, backup, far, _link: link })
    }

    /// Asks for a restore to `database`; its path.
    async fn restore(&self, database: &str, is_confirmed: bool) -> Result<String> {
        let target = json!({"remote_server_id": self.far, "database": database, "host": "127.0.0.1",
                            "port": self.database.port(), "username": ADMIN, "password": PASSWORD});
        let confirm = is_confirmed.then(|| format!("127.0.0.1:{database}"));
        let request = json!({"target": target, "confirm": confirm});
        let started = self.stage.client.post(&format!("backups/{}/restore", self.backup), &request).await?;
        Ok(format!("restores/{}", started["data"]["id"]))
    }

    /// Waits until the server has the dump's table in `database`.
    async fn until_begun(&self, database: &str) -> Result<()> {
        let sql = format!(
            "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = '{database}' AND table_name = 'b'"
        );
        self.until(&sql, "1").await
    }

    async fn until(&self, sql: &str, wanted: &str) -> Result<()> {
        let until = Instant::now() + LIMIT;
        while self.database.query("mysql", sql).await?.trim() != wanted {
            ensure!(Instant::now() < until, "never {wanted}: {sql}");
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Kills the worker of `restore` with -9 in the middle, and has another one go on.
    async fn survive(&self, restore: &str, database: &str) -> Result<Value> {
        let mut victim = self.stage.worker()?;
        self.until_begun(database).await?;
        victim.signal(Signal::KILL)?;
        victim.until_killed().await?;
        let read = self.stage.client.get(restore).await?["data"].take();
        ensure!(read["completed_at"].is_null(), "it was over before its worker died: {read:#}");
        let _survivor = self.stage.worker()?;
        self.stage.ended(restore).await
    }
}

#[tokio::test]
async fn a_restore_of_a_database_whose_worker_dies_is_whole_in_the_end_or_not_there() -> Result<()> {
    let scene = Scene::set().await?;
    let whole = scene.database.query("shop", SUM).await?;

    // A new database: what the dead worker's program had made is gone, and the next attempt makes it again.
    let restore = scene.restore("made", false).await?;
    let ended = scene.survive(&restore, "made").await?;
    ensure!(ended["status"] == "succeeded" && ended["attempt"].as_i64() >= Some(2), "{ended:#}");
    assert_eq!(scene.database.query("made", SUM).await?, whole);

    // An existing one: begun again from the start, because a dump replaces each table whole.
    scene.database.create_database("existing").await?;
    let restore = scene.restore("existing", true).await?;
    let ended = scene.survive(&restore, "existing").await?;
    ensure!(ended["status"] == "succeeded" && ended["attempt"].as_i64() >= Some(2), "{ended:#}");
    assert_eq!(scene.database.query("existing", SUM).await?, whole);
    scene.stage.assert_clean().await
}

#[tokio::test]
async fn a_restore_that_is_cancelled_says_what_it_left() -> Result<()> {
    let scene = Scene::set().await?;
    let _worker = scene.stage.worker()?;
    let restore = scene.restore("made", false).await?;
    scene.until_begun("made").await?;
    scene.stage.client.post(&format!("{restore}/cancel"), &json!({})).await?;
    let ended = scene.stage.ended(&restore).await?;
    ensure!(ended["status"] == "cancelled" && ended["error_code"] == "cancelled", "{ended:#}");
    ensure!(ended["process_terminated"] == true, "{ended:#}");
    scene.until("SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = 'made'", "0").await?;

    scene.database.create_database("existing").await?;
    let restore = scene.restore("existing", true).await?;
    scene.until_begun("existing").await?;
    scene.stage.client.post(&format!("{restore}/cancel"), &json!({})).await?;
    let ended = scene.stage.ended(&restore).await?;
    ensure!(ended["status"] == "cancelled" && ended["error_code"] == "target_incomplete", "{ended:#}");
    scene.until("SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = 'existing'", "1").await?;

    // Its password is forgotten once a restore is over.
    let kept = "SELECT count(*) FROM restores WHERE sealed_database_password IS NOT NULL";
    let kept: i64 = sqlx::query_scalar(kept).fetch_one(&scene.stage.pool).await?;
    assert_eq!(kept, 0);
    scene.stage.assert_clean().await
}

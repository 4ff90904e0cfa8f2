//! A worker as a process of its own, so that it can be killed: this test binary again, running [`worker_process`].

use crate::harness::{self, World};
use holdfast_config::Config;
use holdfast_store::Store;
use holdfast_testbed::network::Host;
use holdfast_vault::Kek;
use secrecy::ExposeSecret;
use sqlx::postgres::PgConnectOptions;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

const DATABASE: &str = "HOLDFAST_TEST_WORKER_DATABASE";
const KEK: &str = "HOLDFAST_TEST_WORKER_KEK";
const ROOT: &str = "HOLDFAST_TEST_WORKER_ROOT";

/// What it may reach besides this machine.
const EGRESS: &str = "HOLDFAST_TEST_WORKER_EGRESS";

pub struct WorkerProcess(Child);

impl WorkerProcess {
    /// A worker of `world` that stops at `fault_point` as `HOLDFAST_FAULT_POINT` says.
    pub fn start(world: &World, fault_point: &str) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "process::worker_process", "--ignored", "--nocapture"])
            .env(DATABASE, world.database.app_url())
            .env(KEK, world.kek().export().expose_secret())
            .env(ROOT, world.root.path())
            .env("HOLDFAST_FAULT_POINT", fault_point)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self(child)
    }

    /// A worker on a host of its own, which finds the database at `url`.
    pub fn start_on(world: &World, host: &Host, url: &str, egress: &str) -> Self {
        let command = host.command(std::env::current_exe().unwrap().to_str().unwrap());
        let child = Command::from(command)
            .args(["--exact", "process::worker_process", "--ignored", "--nocapture"])
            .env(DATABASE, url)
            .env(KEK, world.kek().export().expose_secret())
            .env(ROOT, world.root.path())
            .env(EGRESS, egress)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self(child)
    }

    pub async fn end(&mut self) {
        self.0.kill().await.unwrap();
    }

    pub async fn until_killed(mut self) {
        let ended = tokio::time::timeout(Duration::from_secs(30), self.0.wait()).await;
        let status = ended.expect("it comes to its fault point").unwrap();
        assert_eq!(status.signal(), Some(9), "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "not a test: the process that other tests kill"]
async fn worker_process() {
    let Ok(url) = std::env::var(DATABASE) else { return };
    let options: PgConnectOptions = url.parse().unwrap();
    let store = Store::connect(options, 10).await.unwrap();
    let kek = Kek::import(&std::env::var(KEK).unwrap()).unwrap();
    let root = std::env::var(ROOT).unwrap();
    let listen = ("HOLDFAST__DATA_PLANE__LISTEN", "127.0.0.1:0");
    let egress = std::env::var(EGRESS).unwrap_or_else(|_| "127.0.0.0/8".to_owned());
    let config: Config = harness::config(&[
        ("HOLDFAST__DESTINATIONS__LOCAL_ROOT", &root),
        ("HOLDFAST__EGRESS__ALLOW", &egress),
        ("HOLDFAST__SSH__KEEPALIVE_INTERVAL_SECS", "2"),
        listen,
    ]);
    let never = CancellationToken::new();
    holdfast_worker::run(Arc::new(config), (store, None), kek, never.clone(), never).await.unwrap();
}

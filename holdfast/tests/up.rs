//! `holdfast up` keeps what it started running: a process or a database that dies is there again, and one end ends all.

use holdfast_testbed::processes::{self, Process};
use holdfast_testbed::product::{Product, ProductOptions};
use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(30);

/// A folder that the database's user can pass through.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("holdfast-up-").tempdir_in("/tmp").expect("folder");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).expect("mode");
    folder
}

fn options(data_dir: PathBuf) -> ProductOptions {
    ProductOptions { binary: env!("CARGO_BIN_EXE_holdfast").into(), data_dir, workers: 2, settings: Vec::new() }
}

fn kill(process: &Process) {
    kill_process(pid(process.pid), Signal::KILL).expect("kill");
}

fn pid(number: u32) -> Pid {
    Pid::from_raw(number.try_into().expect("small")).expect("a process id")
}

/// The private server's process, while it lives.
fn postmaster(data_dir: &Path) -> Option<Pid> {
    let text = std::fs::read_to_string(data_dir.join("postgres/postmaster.pid")).ok()?;
    let pid = Pid::from_raw(text.lines().next()?.parse().ok()?)?;
    test_kill_process(pid).ok().map(|()| pid)
}

async fn wait_for(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !holds().await {
        assert!(start.elapsed() < LIMIT, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn is_ready(product: &Product) -> bool {
    reqwest::get(format!("{}/readyz", product.url())).await.is_ok_and(|answer| answer.status().is_success())
}

fn environment(process: &Process) -> String {
    let bytes = std::fs::read(format!("/proc/{}/environ", process.pid)).expect("its environment");
    String::from_utf8_lossy(&bytes).replace('\0', "\n")
}

#[tokio::test]
async fn it_keeps_its_processes_and_its_database_running_and_stops_all_of_them() {
    let folder = folder();
    let data = folder.path().join("data");
    let product = Product::start(options(data.clone())).await.expect("start");
    let (api, workers) = (product.of_role("api").expect("api"), product.of_role("worker").expect("workers"));
    assert_eq!((api.len(), workers.len()), (1, 2));
    assert!(!environment(&api[0]).to_lowercase().contains("kek"), "the api is not told where the key is");
    assert!(environment(&workers[0]).contains("HOLDFAST__VAULT__KEK_FILE="));
    assert!(!environment(&workers[0]).contains("CARGO"), "an environment made from nothing");

    kill(&api[0]);
    kill(&workers[0]);
    let has = |role: &'static str, old: &Process| {
        let now = product.of_role(role).unwrap_or_default();
        !now.is_empty() && now.iter().all(|process| process.pid != old.pid)
    };
    wait_for("the api again", async || has("api", &api[0]) && is_ready(&product).await).await;
    wait_for("the worker again", async || {
        has("worker", &workers[0]) && product.of_role("worker").is_ok_and(|now| now.len() == 2)
    })
    .await;

    let server = postmaster(&data).expect("the database runs");
    kill_process(server, Signal::KILL).expect("kill");
    wait_for("the database again", async || postmaster(&data).is_some_and(|now| now != server)).await;
    wait_for("ready again", async || is_ready(&product).await).await;

    let family = product.processes().expect("processes");
    product.stop().await.expect("stop");
    assert!(postmaster(&data).is_none(), "the database is stopped");
    let left: Vec<_> = processes::all().expect("processes").into_iter().filter(|p| family.contains(p)).collect();
    assert!(left.is_empty(), "{left:?}");
}

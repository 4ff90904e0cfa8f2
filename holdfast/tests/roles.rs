//! api and workers started one by one, as on several machines: one shared database, whose owner only migrates.

use holdfast_testbed::client::ApiClient;
use holdfast_testbed::postgres::Database;
use holdfast_testbed::product::free_port;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(30);

/// A role's process; killed if the test gives up.
struct Role(Child);

impl Role {
    fn start(role: &str, settings: &[(&str, String)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
        command.arg(role).env_clear().envs(settings.iter().map(|(key, value)| (key, value))).stdin(Stdio::null());
        Self(command.spawn().expect("start"))
    }

    async fn stop(mut self) {
        let pid = rustix::process::Pid::from_raw(self.0.id().try_into().expect("small")).expect("a process id");
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("SIGTERM");
        let start = Instant::now();
        while start.elapsed() < LIMIT {
            if let Some(status) = self.0.try_wait().expect("wait") {
                assert!(status.success(), "{status}");
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it does not stop");
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn admin(database: &Database, kek: &Path, arguments: &[&str], input: &str) -> String {
    let mut child = Command::new(env!("CARGO_BIN_EXE_holdfast"))
        .arg("admin")
        .args(arguments)
        .env("DATABASE_URL", database.owner_url())
        .env("HOLDFAST__VAULT__KEK_FILE", kek)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("start");
    child.stdin.take().expect("stdin").write_all(input.as_bytes()).expect("input");
    let output = child.wait_with_output().expect("wait");
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

#[tokio::test]
async fn roles_on_their_own_need_the_application_log_in_alone() {
    let database = Database::fresh().await.expect("database");
    let folder = tempfile::tempdir().expect("folder");
    let (kek, disk) = (folder.path().join("kek"), folder.path().join("disk"));
    std::fs::create_dir(&disk).expect("disk");
    let user = ["create-user", "--email", "a@example.org", "--name", "A", "--timezone", "UTC", "--password-stdin"];
    admin(&database, &kek, &user, "a long enough phrase");
    let token = ["create-token", "--email", "a@example.org", "--name", "t", "--abilities", "*"];
    let token = admin(&database, &kek, &token, "");

    let listen = format!("127.0.0.1:{}", free_port().expect("port"));
    let url = ("DATABASE_APP_URL", database.app_url());
    let api = Role::start("api", &[url.clone(), ("HOLDFAST__HTTP__LISTEN", listen.clone())]);
    let settings = [
        url,
        ("HOLDFAST__VAULT__KEK_FILE", kek.display().to_string()),
        ("HOLDFAST__DESTINATIONS__LOCAL_ROOT", disk.display().to_string()),
    ];
    let workers = [Role::start("worker", &settings), Role::start("worker", &settings)];

    let client = ApiClient::new(&format!("http://{listen}"), Some(token)).expect("client");
    let destination = serde_json::json!({"label": "disk", "type": "local"});
    let start = Instant::now();
    let id = loop {
        if let Ok(made) = client.post("backup-destinations", &destination).await {
            break made["data"]["id"].as_i64().expect("id");
        }
        assert!(start.elapsed() < LIMIT, "the api does not answer");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    // Through a ticket and a worker's data plane.
    let check = format!("backup-destinations/{id}/check");
    while !client.post(&check, &serde_json::json!({})).await.is_ok_and(|a| a["data"]["ok"] == true) {
        assert!(start.elapsed() < LIMIT, "no worker checks the destination");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for worker in workers {
        worker.stop().await;
    }
    api.stop().await;
}

#[tokio::test]
async fn a_worker_with_another_key_does_not_start() {
    let database = Database::fresh().await.expect("database");
    let other = Database::fresh().await.expect("database");
    let folder = tempfile::tempdir().expect("folder");
    let user = ["create-user", "--email", "a@example.org", "--name", "A", "--timezone", "UTC", "--password-stdin"];
    admin(&database, &folder.path().join("kek"), &user, "a long enough phrase");
    // In a folder of its own: the log-in key lies beside the key file and belongs to it.
    let others = folder.path().join("other");
    std::fs::create_dir(&others).expect("folder");
    admin(&other, &others.join("kek"), &user, "a long enough phrase");
    let output = Command::new(env!("CARGO_BIN_EXE_holdfast"))
        .arg("worker")
        .env("DATABASE_APP_URL", database.app_url())
        .env("HOLDFAST__VAULT__KEK_FILE", others.join("kek"))
        .output()
        .expect("start");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("key"), "{said}");
}

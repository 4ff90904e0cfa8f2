//! Scripts tried on a server through the data plane, and the presets.

use crate::harness::World;
use holdfast_domain::ids::{RemoteServerId, ScriptId};
use holdfast_domain::script::{ParameterValues, Preset};
use holdfast_domain::ticket::{DATA_PLANE_PATH, TICKET_HEADER, TicketAction};
use holdfast_vault::ticket::TicketSecret;
use holdfast_worker::data_plane;
use holdfast_worker::faults::FaultPoints;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

struct Plane<'a> {
    world: &'a World,
    url: String,
    client: reqwest::Client,
}

impl<'a> Plane<'a> {
    async fn of(world: &'a World) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}{DATA_PLANE_PATH}", listener.local_addr().unwrap());
        let never = CancellationToken::new();
        // Ends with the test's runtime.
        drop(tokio::spawn(data_plane::serve(world.context(FaultPoints::none()), listener, never.clone(), never)));
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        Self { world, url, client }
    }

    async fn ask(&self, script: i64, server: i64, parameters: Value) -> reqwest::Response {
        let parameters: ParameterValues = serde_json::from_value(parameters).unwrap();
        let remote_server_id = RemoteServerId(server);
        let action = TicketAction::TestScript { id: ScriptId(script), remote_server_id, parameters };
        let secret = TicketSecret::generate(&mut rand::rng());
        let tx = self.world.store.for_team(&self.world.access()).await.unwrap();
        tx.tickets().issue(&secret.hash(), &action, 60.0).await.unwrap();
        tx.commit().await.unwrap();
        self.client.post(&self.url).header(TICKET_HEADER, secret.expose()).send().await.unwrap()
    }

    async fn answer(&self, script: i64, parameters: Value) -> Value {
        let mut answer: Value = self.ask(script, self.world.server_id, parameters).await.json().await.unwrap();
        assert!(answer["duration_ms"].take().is_u64());
        answer
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_is_tried_and_its_end_is_told() {
    let world = World::new().await;
    let plane = Plane::of(&world).await;
    world.script_secret("s", "hunter22").await;
    let parameters = json!([{"name": "A", "default": {"secret_name": "s"}, "is_required": true}]);
    let good = world.script_with("bash", "echo \"$A $HOLDFAST_DRY_RUN\"; echo two >&2", 20, parameters).await;
    assert_eq!(
        plane.answer(good, json!({})).await,
        json!({"ok": true, "exit_status": 0, "is_timed_out": false, "message": "The script ended with status 0.",
               "output": ["[secret] 1", "two"], "duration_ms": null})
    );
    let given = plane.answer(good, json!({"A": "given"})).await;
    assert_eq!(given["output"], json!(["given 1", "two"]));
    let bad = world.script("sh", "exit 3").await;
    let answer = plane.answer(bad, json!({})).await;
    assert_eq!((&answer["ok"], &answer["exit_status"]), (&json!(false), &json!(3)), "{answer}");
    let slow = world.script_with("sh", "echo begun; sleep 1000", 1, json!([])).await;
    let answer = plane.answer(slow, json!({})).await;
    assert_eq!((&answer["is_timed_out"], &answer["exit_status"]), (&json!(true), &Value::Null), "{answer}");
    assert_eq!(answer["output"], json!(["begun"]));
    assert!(world.login.processes().unwrap().is_empty());
    let absent = plane.ask(999_999, world.server_id, json!({})).await;
    assert_eq!(absent.status(), 404);
    sqlx::query("UPDATE remote_servers SET port = 1").execute(&world.pool).await.unwrap();
    let answer = plane.answer(bad, json!({})).await;
    assert_eq!((&answer["ok"], &answer["exit_status"]), (&json!(false), &Value::Null), "{answer}");
    assert!(answer["message"].as_str().unwrap().starts_with("While connecting"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_goes_away_ends_the_script() {
    let world = World::new().await;
    let plane = Plane::of(&world).await;
    let slow = world.script_with("sh", "touch \"$HOME/begun\"; sleep 1000", 100, json!([])).await;
    let answer = plane.ask(slow, world.server_id, json!({})).await;
    let more = [plane.ask(slow, world.server_id, json!({})).await, plane.ask(slow, world.server_id, json!({})).await];
    let refused = plane.ask(slow, world.server_id, json!({})).await;
    assert_eq!((more[0].status().as_u16(), refused.status().as_u16()), (200, 429));
    let begun = world.login.home().join("begun");
    world.eventually("it runs", async || begun.exists()).await;
    drop((answer, more));
    drop(plane);
    world.eventually("it is gone", async || world.login.processes().unwrap().is_empty()).await;
}

/// A service manager that keeps what it is told in files, in a folder of its own.
fn service_manager(folder: &Path) {
    let text = "#!/bin/sh\nverb=$1; shift\nfor name in \"$@\"; do :; done\ncase $verb in\n\
                is-active) if [ -e \"$STATE/$name\" ]; then echo active; else echo inactive; exit 3; fi ;;\n\
                show) echo loaded ;;\n\
                *) echo \"$verb $name\" >> \"$STATE/log\"\n   [ \"$name\" = broken ] && exit 5\n\
                   if [ \"$verb\" = start ]; then touch \"$STATE/$name\"; else rm -f \"$STATE/$name\"; fi ;;\nesac\n";
    for name in ["systemctl", "sudo"] {
        let text = if name == "sudo" { "#!/bin/sh\nshift\nexec \"$@\"\n" } else { text };
        std::fs::write(folder.join(name), text).unwrap();
        std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn services_are_stopped_in_order_and_started_in_the_opposite_one() {
    let folder = tempfile::tempdir().unwrap();
    service_manager(folder.path());
    let state = folder.path().join("state");
    let run = |shell: &[&str], preset: Preset, services: &str, dry: &str| {
        let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
        let mut command = Command::new(shell[0]);
        command.args(&shell[1..]).args(["-c", preset.body()]).env("PATH", path).env("STATE", &state);
        let output = command.env("SERVICES", services).env("HOLDFAST_DRY_RUN", dry).output().unwrap();
        let log = std::fs::read_to_string(state.join("log")).unwrap_or_default();
        let _ = std::fs::remove_file(state.join("log"));
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap(), log)
    };
    for shell in [&["dash"][..], &["bash"], &["busybox", "sh"]] {
        let _ = std::fs::remove_dir_all(&state);
        std::fs::create_dir(&state).unwrap();
        for name in ["a", "b@1.service"] {
            std::fs::write(state.join(name), "").unwrap();
        }
        let (status, said, log) = run(shell, Preset::StopServices, "a b@1.service", "1");
        assert_eq!((status, log.as_str()), (0, ""), "{shell:?} {said}");
        assert_eq!(said, "Would stop a, which is active.\nWould stop b@1.service, which is active.\n");
        let (status, said, log) = run(shell, Preset::StopServices, "a b@1.service", "0");
        assert_eq!((status, log.as_str()), (0, "stop a\nstop b@1.service\n"), "{shell:?} {said}");
        let (status, said, log) = run(shell, Preset::StartServices, "a b@1.service", "0");
        assert_eq!((status, log.as_str()), (0, "start b@1.service\nstart a\n"), "{shell:?} {said}");
        assert_eq!(said, "b@1.service is active.\na is active.\n");
        // Stopping ends where it fails; starting tries them all.
        let (status, _, log) = run(shell, Preset::StopServices, "broken a", "0");
        assert_eq!((status, log.as_str()), (1, "stop broken\n"), "{shell:?}");
        let (status, _, log) = run(shell, Preset::StartServices, "a broken", "0");
        assert_eq!((status, log.as_str()), (1, "start broken\nstart a\n"), "{shell:?}");
    }
}

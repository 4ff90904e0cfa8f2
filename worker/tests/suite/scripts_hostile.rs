//! Scripts against the product: output without end, values that look like commands, and secrets that somebody looks for.

use crate::harness::World;
use crate::scripts_support::Attached;
use holdfast_worker::faults::FaultPoints;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What people type, and what would be a command somewhere.
const HOSTILE: &[&str] = &[
    "$(touch /tmp/holdfast-pwn)",
    "`touch /tmp/holdfast-pwn`",
    "'; touch /tmp/holdfast-pwn; '",
    "\"; touch /tmp/holdfast-pwn; \"",
    "--checkpoint-action=exec=touch /tmp/holdfast-pwn",
    " leading and trailing \n\n",
    "back\\slash\\ *?[a-z]{a,b}~!#%&|<> tab\t\u{7f}\u{1}",
    "ünïcödé",
    "b - ZWNobyBwd24=\ne PATH L3RtcA==",
];

fn own_memory_kib(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn output_without_end_costs_neither_memory_nor_log() {
    let world = World::new().await;
    let worker = world.worker(FaultPoints::none()).await;
    let flood = "head -c 1000000000 /dev/zero | tr '\\0' 'x'; echo; yes line | head -n 200000; echo the end";
    let script = world.script_with("sh", flood, 600, json!([])).await;
    world.attach(&[Attached::before(script)]).await;
    let before = own_memory_kib("VmRSS");
    let run = world.queue_run().await;
    let mut row = world.run(run).await;
    while ["queued", "running", "verifying"].contains(&row.status.as_str()) {
        tokio::time::sleep(Duration::from_millis(200)).await;
        row = world.run(run).await;
    }
    assert_eq!(row.status, "succeeded", "{row:#?} {:#?}", world.log(run).await);
    let grown = own_memory_kib("VmHWM").saturating_sub(before);
    assert!(grown < 96 * 1024, "{grown} KiB more");
    let log = world.log(run).await;
    let output: Vec<&String> = log.iter().filter(|line| line.starts_with("| ")).collect();
    assert_eq!(output.len(), 81, "first lines, how many are left out, last lines");
    assert!(output.iter().all(|line| line.chars().count() <= 500));
    assert_eq!(output.last().map(|line| line.as_str()), Some("| the end"));
    worker.stop().await;
    world.assert_no_residue().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_value_becomes_a_command_and_every_value_arrives() {
    let world = World::new().await;
    sqlx::query("UPDATE backup_tasks SET label = $1").bind(HOSTILE[2]).execute(&world.pool).await.unwrap();
    sqlx::query("UPDATE remote_servers SET label = $1").bind(HOSTILE[0]).execute(&world.pool).await.unwrap();
    let worker = world.worker(FaultPoints::none()).await;
    let out = world.login.home().join("values");
    let shell = "printf '%s\\0' \"$A\" \"$S\" \"$HOLDFAST_TASK_LABEL\" \"$HOLDFAST_SERVER\" > \"$HOME/values\"";
    let python = "import os\nwith open(os.path.expanduser('~/values'), 'wb') as f:\n    for n in ('A', 'S', \
                  'HOLDFAST_TASK_LABEL', 'HOLDFAST_SERVER'):\n        f.write(os.environb[n.encode()] + b'\\0')\n";
    let parameters = json!([{"name": "A", "default": null, "is_required": true},
                            {"name": "S", "default": {"secret_name": "s"}, "is_required": true}]);
    for (interpreter, body) in [("sh", shell), ("bash", shell), ("python3", python)] {
        for value in HOSTILE {
            sqlx::query("DELETE FROM script_secrets").execute(&world.pool).await.unwrap();
            world.script_secret("s", value).await;
            let script = world.script_with(interpreter, body, 20, parameters.clone()).await;
            world.attach(&[Attached::before(script).given(json!({"A": value}))]).await;
            let run = world.queue_run().await;
            let row = world.until_over(run).await;
            assert_eq!(row.status, "succeeded", "{interpreter} {value:?} {:#?}", world.log(run).await);
            let expected = [value, value, HOSTILE[2], HOSTILE[0]].map(|text| format!("{text}\0")).concat();
            assert_eq!(std::fs::read(&out).unwrap(), expected.into_bytes(), "{interpreter} {value:?}");
        }
    }
    assert!(!std::path::Path::new("/tmp/holdfast-pwn").exists());
    worker.stop().await;
}

/// Everything that `/proc` tells of any process: words it was started with, and its first environment.
fn seen_in_proc(needle: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        for file in ["cmdline", "environ"] {
            let path = entry.path().join(file);
            let Ok(bytes) = std::fs::read(&path) else { continue };
            if bytes.windows(needle.len()).any(|window| window == needle) {
                found.push(format!("{}: {}", path.display(), String::from_utf8_lossy(&bytes)));
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_in_no_process_list_environment_log_or_row() {
    let world = World::new().await;
    let canary = format!("CANARY{}", uuid::Uuid::new_v4().simple());
    world.script_secret("db", &canary).await;
    let parameters = json!([{"name": "P", "default": {"secret_name": "db"}, "is_required": true}]);
    let body = "echo \"the password is $P!\"; echo \"$P\" >&2; [ ${#P} -gt 30 ] || exit 4; sleep 1.5; exit 3";
    let worker = world.worker(FaultPoints::none()).await;
    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, needle) = (Arc::clone(&stop), canary.clone().into_bytes());
    let watcher = std::thread::spawn(move || {
        let mut rounds = 0;
        let mut found = Vec::new();
        while !stopped.load(Ordering::Relaxed) {
            found.extend(seen_in_proc(&needle));
            rounds += 1;
        }
        (rounds, found)
    });
    for interpreter in ["sh", "bash"] {
        let script = world.script_with(interpreter, body, 20, parameters.clone()).await;
        world.attach(&[Attached::before(script)]).await;
        let run = world.queue_run().await;
        let row = world.until_over(run).await;
        assert!(row.error_message.unwrap().contains("ended with status 3"));
        let log = world.log(run).await;
        assert!(log.contains(&"| the password is [secret]!".to_owned()), "{log:#?}");
    }
    stop.store(true, Ordering::Relaxed);
    let (rounds, found) = watcher.join().unwrap();
    assert!(rounds > 5, "only {rounds} looks");
    assert_eq!(found, Vec::<String>::new());
    let dump = holdfast_testbed_dump(&world).await;
    assert!(!dump.contains(&canary), "in the database");
    worker.stop().await;
    world.assert_no_residue().await;
}

/// Every row of every table, queue included.
async fn holdfast_testbed_dump(world: &World) -> String {
    let tables = "SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables
                  WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&world.pool).await.unwrap();
    assert!(tables.len() > 20);
    let mut all = String::new();
    for table in tables {
        let rows = sqlx::AssertSqlSafe(format!("SELECT t::text FROM {table} t"));
        let rows: Vec<String> = sqlx::query_scalar(rows).fetch_all(&world.pool).await.unwrap();
        all.push_str(&rows.join("\n"));
    }
    all
}

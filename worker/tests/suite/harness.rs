//! A team with a server, a destination and a task, and workers to run it.

use holdfast_config::Config;
use holdfast_destinations::LocalRoot;
use holdfast_domain::ids::{BackupRunId, TeamId};
use holdfast_store::queue::{self, Job};
use holdfast_store::taking::{Claimed, Taker};
use holdfast_store::{Access, Store};
use holdfast_testbed::postgres::Database;
use holdfast_testbed::sshd::{Login, Sshd};
use holdfast_vault::team_keys::{self, TeamKeyPurpose};
use holdfast_vault::{Kek, Opener, SealContext, SealedColumn, Sealer};
use holdfast_worker::WorkerContext;
use holdfast_worker::context::{Clock, SystemClock, SystemRandom, WorkerParts, worker_name};
use holdfast_worker::faults::FaultPoints;
use holdfast_worker::own_database::OwnDatabase;
use rand::rngs::StdRng;
use rand::{RngCore, SeedableRng};
use serde_json::json;
use sqlx::{PgPool, Row};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// One team's world.
pub struct World {
    pub database: Database,
    pub pool: PgPool,
    pub store: Store,
    pub sshd: Sshd,
    pub login: Login,
    /// The tree that is backed up.
    pub tree: PathBuf,
    /// `destinations.local_root`.
    pub root: TempDir,
    pub team_id: i64,
    pub user_id: i64,
    pub server_id: i64,
    pub destination_id: i64,
    pub task_id: i64,
    kek: Kek,
}

/// Settings of the tests: everything fast.
const SETTINGS: &[(&str, &str)] = &[
    ("HOLDFAST__WORKER__LEASE_SECS", "3"),
    ("HOLDFAST__WORKER__HEARTBEAT_SECS", "0.5"),
    ("HOLDFAST__WORKER__RETRY_DELAYS_SECS", "0,0,0"),
    ("HOLDFAST__WORKER__RECONCILE_INTERVAL_SECS", "0.2"),
    ("HOLDFAST__WORKER__DRAIN_TIMEOUT_SECS", "1"),
    ("HOLDFAST__SSH__FIRST_CONTACT", "trust"),
    ("HOLDFAST__EGRESS__ALLOW", "127.0.0.0/8"),
];

pub fn config(more: &[(&str, &str)]) -> Config {
    let env = SETTINGS.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Config::load(None, env.collect::<std::collections::BTreeMap<_, _>>().into_iter()).unwrap()
}

impl World {
    pub async fn new() -> Self {
        Self::on(Database::fresh().await.unwrap()).await
    }

    pub async fn on(database: Database) -> Self {
        let pool = database.owner_pool().await.unwrap();
        let store = Store::connect(database.app_options(), 20).await.unwrap();
        let sshd = Sshd::start().unwrap();
        let login = Login::create().unwrap();
        let tree = login.home().join("data");
        make_tree(&tree);
        login.give(&tree).unwrap();
        let kek = Kek::generate(&mut StdRng::from_os_rng());
        let mut world = Self {
            database,
            pool,
            store,
            sshd,
            login,
            tree,
            root: tempfile::tempdir().unwrap(),
            team_id: 0,
            user_id: 0,
            server_id: 0,
            destination_id: 0,
            task_id: 0,
            kek,
        };
        world.fill().await;
        world
    }

    async fn fill(&mut self) {
        let opener = Opener::from_kek(&self.kek);
        self.store.record_vault_key(holdfast_vault::KEY_VERSION, opener.public_key()).await.unwrap();
        let sealer = Sealer::from_public_key(opener.public_key()).unwrap();
        let account = "SELECT user_id, team_id FROM create_account($1, 'A', 'x', 'UTC', $2, false)";
        let email = format!("{}@example.org", Uuid::new_v4());
        let row = sqlx::query(account).bind(email).bind(Uuid::new_v4()).fetch_one(&self.pool).await.unwrap();
        (self.user_id, self.team_id) = (row.get(0), row.get(1));
        for key in team_keys::generate(&mut StdRng::from_os_rng(), &sealer, TeamId(self.team_id)) {
            if key.purpose == TeamKeyPurpose::Ssh {
                self.sshd.authorize(self.login.name(), &key.public).unwrap();
            }
            sqlx::query(
                "INSERT INTO team_keys (team_id, purpose, version, public, seal_id, sealed) VALUES ($1,$2,$3,$4,$5,$6)",
            )
            .bind(self.team_id)
            .bind(key.purpose.as_str())
            .bind(key.version)
            .bind(key.public)
            .bind(key.seal_id)
            .bind(key.sealed)
            .execute(&self.pool)
            .await
            .unwrap();
        }
        self.server_id = sqlx::query_scalar(
            "INSERT INTO remote_servers (team_id, user_id, label, host, port, username, seal_id)
             VALUES ($1, $2, 'server', '127.0.0.1', $3, $4, $5) RETURNING id",
        )
        .bind(self.team_id)
        .bind(self.user_id)
        .bind(i32::from(self.sshd.port()))
        .bind(self.login.name())
        .bind(Uuid::new_v4())
        .fetch_one(&self.pool)
        .await
        .unwrap();
        self.destination_id = self.add_destination("local").await;
        self.task_id = self.add_task(json!({"kind": "files", "paths": [self.tree]})).await;
    }

    pub async fn add_destination(&self, kind: &str) -> i64 {
        sqlx::query_scalar(
            "INSERT INTO backup_destinations (team_id, user_id, label, type, seal_id)
             VALUES ($1, $2, 'destination', $3, $4) RETURNING id",
        )
        .bind(self.team_id)
        .bind(self.user_id)
        .bind(kind)
        .bind(Uuid::new_v4())
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }

    pub async fn add_task(&self, source: serde_json::Value) -> i64 {
        let task: i64 = sqlx::query_scalar(
            "INSERT INTO backup_tasks (team_id, user_id, remote_server_id, label, type, source, frequency, max_backups, seal_id)
             VALUES ($1, $2, $3, 'task', 'files', $4, 'manual', 3, $5) RETURNING id",
        )
        .bind(self.team_id)
        .bind(self.user_id)
        .bind(self.server_id)
        .bind(source)
        .bind(Uuid::new_v4())
        .fetch_one(&self.pool)
        .await
        .unwrap();
        self.send_to(task, self.destination_id, 0).await;
        task
    }

    /// Gives the world's task an encryption password.
    pub async fn seal_task_password(&self, password: &str) {
        let sealer = Sealer::from_public_key(Opener::from_kek(&self.kek).public_key()).unwrap();
        let seal_id: Uuid = sqlx::query_scalar("SELECT seal_id FROM backup_tasks WHERE id = $1")
            .bind(self.task_id)
            .fetch_one(&self.pool)
            .await
            .unwrap();
        let place = SealContext::new(TeamId(self.team_id), SealedColumn::TaskEncryptionPassword, seal_id);
        let sealed = sealer.seal(&place, password.as_bytes(), &mut StdRng::from_os_rng());
        sqlx::query("UPDATE backup_tasks SET sealed_encryption_password = $2 WHERE id = $1")
            .bind(self.task_id)
            .bind(sealed)
            .execute(&self.pool)
            .await
            .unwrap();
    }

    pub fn kek(&self) -> &Kek {
        &self.kek
    }

    pub async fn send_to(&self, task: i64, destination: i64, position: i32) {
        sqlx::query(
            "INSERT INTO backup_task_destinations (team_id, backup_task_id, backup_destination_id, position)
             VALUES ($1, $2, $3, $4)",
        )
        .bind(self.team_id)
        .bind(task)
        .bind(destination)
        .bind(position)
        .execute(&self.pool)
        .await
        .unwrap();
    }

    /// Makes a run of the world's task and its job, in one transaction, as the api does.
    pub async fn queue_run(&self) -> BackupRunId {
        self.queue_run_of(self.task_id).await
    }

    pub async fn queue_run_of(&self, task: i64) -> BackupRunId {
        let id = self.insert_run(task).await;
        let tx = self.store.for_team(&self.access()).await.unwrap();
        queue::enqueue(&tx, Job::ExecuteRun(id, 1)).await.unwrap();
        tx.commit().await.unwrap();
        id
    }

    /// A run without a job.
    pub async fn insert_run(&self, task: i64) -> BackupRunId {
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO backup_runs (team_id, backup_task_id, ulid, trigger) VALUES ($1, $2, $3, 'manual') RETURNING id",
        )
        .bind(self.team_id)
        .bind(task)
        .bind(Uuid::new_v4().simple().to_string()[..26].to_uppercase())
        .fetch_one(&self.pool)
        .await
        .unwrap();
        BackupRunId(id)
    }

    /// Claims the run, which is the only one that can be taken, for a worker without a store.
    pub async fn claim(&self, id: BackupRunId, owner: &str, lease_secs: f64) -> Option<Claimed<BackupRunId>> {
        let claimed = self.store.take_run(&taker(owner, lease_secs)).await.unwrap();
        assert!(claimed.is_none_or(|claimed| claimed.id == id), "{claimed:?}");
        claimed
    }

    pub fn access(&self) -> Access {
        Access::system(TeamId(self.team_id), "test")
    }

    pub fn context(&self, faults: FaultPoints) -> Arc<WorkerContext> {
        self.context_with(faults, &[])
    }

    pub fn context_with(&self, faults: FaultPoints, more: &[(&str, &str)]) -> Arc<WorkerContext> {
        Arc::new(WorkerContext::new(self.parts(faults, more)).unwrap())
    }

    fn parts(&self, faults: FaultPoints, more: &[(&str, &str)]) -> WorkerParts {
        let config = config(more);
        WorkerParts {
            store: self.store.clone(),
            opener: Opener::from_kek(&self.kek),
            egress: holdfast_worker::start::egress(&config),
            config,
            local_root: Some(LocalRoot::open(self.root.path(), Uuid::new_v4()).unwrap()),
            name: worker_name(&SystemClock, &SystemRandom),
            data_plane_url: "http://127.0.0.1:1".to_owned(),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom),
            faults,
            own_database: None,
        }
    }

    /// A worker with another clock than the machine's.
    pub fn context_by(&self, clock: Arc<dyn Clock>, more: &[(&str, &str)]) -> Arc<WorkerContext> {
        Arc::new(WorkerContext::new(WorkerParts { clock, ..self.parts(FaultPoints::none(), more) }).unwrap())
    }

    pub fn context_copying(&self, own: Arc<dyn OwnDatabase>) -> Arc<WorkerContext> {
        let parts = self.parts(FaultPoints::none(), &[]);
        Arc::new(WorkerContext::new(WorkerParts { own_database: Some(own), ..parts }).unwrap())
    }

    pub fn context_without_root(&self, faults: FaultPoints) -> Arc<WorkerContext> {
        Arc::new(WorkerContext::new(WorkerParts { local_root: None, ..self.parts(faults, &[]) }).unwrap())
    }

    /// A worker whose local root is another folder.
    pub fn context_at(&self, root: &Path) -> Arc<WorkerContext> {
        let local_root = Some(LocalRoot::open(root, Uuid::new_v4()).unwrap());
        Arc::new(WorkerContext::new(WorkerParts { local_root, ..self.parts(FaultPoints::none(), &[]) }).unwrap())
    }

    /// A worker whose local store is another one.
    pub fn context_on(&self, root: &Path) -> Arc<WorkerContext> {
        let local_root = Some(LocalRoot::open(root, Uuid::new_v4()).unwrap());
        Arc::new(WorkerContext::new(WorkerParts { local_root, ..self.parts(FaultPoints::none(), &[]) }).unwrap())
    }

    /// A whole worker: queue, loops, data plane.
    pub async fn worker(&self, faults: FaultPoints) -> Worker {
        Worker::start(self.context(faults)).await
    }

    pub async fn run(&self, id: BackupRunId) -> RunRow {
        let row = sqlx::query_as("SELECT * FROM backup_runs WHERE id = $1").bind(id.0);
        row.fetch_one(&self.pool).await.unwrap()
    }

    /// Waits for a state of the run.
    pub async fn until(&self, id: BackupRunId, wanted: impl Fn(&RunRow) -> bool) -> RunRow {
        for _ in 0..3000 {
            let run = self.run(id).await;
            if wanted(&run) {
                return run;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the run stays {:#?}\nlog: {:#?}", self.run(id).await, self.log(id).await);
    }

    pub async fn until_over(&self, id: BackupRunId) -> RunRow {
        self.until(id, |run| !["queued", "running", "verifying"].contains(&run.status.as_str())).await
    }

    pub async fn log(&self, id: BackupRunId) -> Vec<String> {
        let lines =
            sqlx::query_scalar("SELECT content FROM backup_run_lines WHERE backup_run_id = $1 ORDER BY line_number");
        lines.bind(id.0).fetch_all(&self.pool).await.unwrap()
    }

    pub async fn count(&self, sql: &'static str, id: i64) -> i64 {
        sqlx::query_scalar(sql).bind(id).fetch_one(&self.pool).await.unwrap()
    }

    pub async fn backups(&self) -> i64 {
        self.count("SELECT count(*) FROM backups WHERE backup_task_id = $1", self.task_id).await
    }

    /// Every file below the local root, `store.id` left out.
    pub fn stored_files(&self) -> Vec<PathBuf> {
        let mut files = files_below(self.root.path());
        files.retain(|file| file.file_name().is_some_and(|name| name != "store.id"));
        files
    }

    /// What must hold after every run, however it ended.
    pub async fn assert_no_residue(&self) {
        self.eventually("no unfinished object is recorded", async || {
            self.count("SELECT count(*) FROM backup_run_objects WHERE state = 'writing' AND team_id = $1", self.team_id)
                .await
                == 0
        })
        .await;
        let recorded: Vec<String> = sqlx::query_scalar("SELECT name FROM backup_copy_objects WHERE team_id = $1")
            .bind(self.team_id)
            .fetch_all(&self.pool)
            .await
            .unwrap();
        let stored = self.stored_files();
        assert_eq!(stored.len(), recorded.len(), "{stored:#?}\n{recorded:#?}");
        self.eventually("no process is left on the server", async || self.login.processes().unwrap().is_empty()).await;
        let held =
            self.count("SELECT count(*) FROM backup_runs WHERE team_id = $1 AND lease_until IS NOT NULL", self.team_id);
        assert_eq!(held.await, 0, "a lease is held");
    }

    pub async fn eventually(&self, what: &str, holds: impl AsyncFn() -> bool) {
        for _ in 0..1500 {
            if holds().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("never: {what}");
    }
}

/// A worker without a store.
pub fn taker(name: &str, lease_secs: f64) -> Taker<'_> {
    Taker { name, store_ids: &[], lease_secs, max_attempts: 3, usual_runs_at_once: 0 }
}

/// The columns that tests look at.
#[derive(Debug, sqlx::FromRow)]
pub struct RunRow {
    pub status: String,
    pub epoch: i32,
    pub attempts: i32,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
    pub process_terminated: Option<bool>,
    pub progress: serde_json::Value,
    pub transfer_ms: Option<i64>,
    pub warning_count: i64,
}

/// A running worker.
pub struct Worker {
    pub soft: CancellationToken,
    /// Kept so that it is never cancelled by being dropped.
    _hard: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Worker {
    pub async fn start(context: Arc<WorkerContext>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (soft, hard) = (CancellationToken::new(), CancellationToken::new());
        let work = holdfast_worker::run_worker(context, listener, soft.clone(), hard.clone());
        Self { soft, _hard: hard, task: tokio::spawn(work) }
    }

    /// Ends it in an orderly way.
    pub async fn stop(self) {
        self.soft.cancel();
        tokio::time::timeout(Duration::from_secs(30), self.task).await.expect("drains").unwrap().unwrap();
    }
}

fn make_tree(tree: &Path) {
    use std::fs;
    fs::create_dir_all(tree.join("folder with spaces")).unwrap();
    fs::write(tree.join("small.txt"), "small\n").unwrap();
    fs::write(tree.join("folder with spaces/-- $(touch x) `y`"), "odd\n").unwrap();
    let mut noise = vec![0; 3_000_000];
    StdRng::seed_from_u64(1).fill_bytes(&mut noise);
    fs::write(tree.join("noise.bin"), noise).unwrap();
    std::os::unix::fs::symlink("small.txt", tree.join("link")).unwrap();
}

pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

/// A file system of a few MiB over a folder, gone when dropped.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    pub fn mount(folder: &Path, size: &str) -> Self {
        let options = format!("size={size}");
        let mounted =
            std::process::Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder).status();
        assert!(mounted.unwrap().success(), "mounting needs root");
        Self(folder.to_owned())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
        assert!(unmounted.unwrap().success());
    }
}

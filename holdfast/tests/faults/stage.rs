//! A team with a server, a destination and a token; the api; and workers that a test starts, arms, stops and kills.

use anyhow::{Context, Result, bail, ensure};
use holdfast_testbed::client::ApiClient;
use holdfast_testbed::compare::{CompareOptions, compare};
use holdfast_testbed::fault_figures::FaultFigures;
use holdfast_testbed::fault_proxy::{FaultProxy, LinkPlan};
use holdfast_testbed::postgres::Database;
use holdfast_testbed::processes;
use holdfast_testbed::site::below;
use holdfast_testbed::sshd::{Login, Sshd};
use holdfast_testbed::steps;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use sqlx::PgPool;
use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest wait for anything.
pub const LIMIT: Duration = Duration::from_secs(60);
pub const POLL: Duration = Duration::from_millis(25);

/// Incompressible, so that as much is stored as is read.
pub const TREE_BYTES: usize = 6 << 20;

const BINARY: &str = env!("CARGO_BIN_EXE_holdfast");

/// Times that let a test see what takes minutes otherwise.
const SETTINGS: [(&str, &str); 8] = [
    ("HOLDFAST__WORKER__LEASE_SECS", "3"),
    ("HOLDFAST__WORKER__HEARTBEAT_SECS", "0.5"),
    ("HOLDFAST__WORKER__RETRY_DELAYS_SECS", "0,0,0"),
    ("HOLDFAST__WORKER__RECONCILE_INTERVAL_SECS", "0.5"),
    ("HOLDFAST__WORKER__DRAIN_TIMEOUT_SECS", "5"),
    ("HOLDFAST__SSH__KEEPALIVE_INTERVAL_SECS", "0.5"),
    ("HOLDFAST__EGRESS__ALLOW", "127.0.0.0/8"),
    ("HOLDFAST__HTTP__RATE_LIMIT_PER_MIN", "0"),
];

/// A role's process; killed when dropped.
pub struct Role(Child);

impl Role {
    fn start(role: &str, settings: &[(String, String)], log: &Path) -> Result<Self> {
        let output = fs::OpenOptions::new().create(true).append(true).open(log)?;
        let mut command = Command::new(BINARY);
        command.arg(role).env_clear().envs(settings.iter().cloned()).stdin(Stdio::null());
        Ok(Self(command.stdout(output.try_clone()?).stderr(output).spawn().context("starting a role")?))
    }

    /// An api that answers at `listener`, whose port stays taken when it dies. The key of the vault is the workers' alone.
    fn start_api(listener: &TcpListener, settings: &[(String, String)], folder: &Path) -> Result<Self> {
        let settings = settings.iter().filter(|(key, _)| !key.contains("KEK")).cloned();
        let output = fs::OpenOptions::new().create(true).append(true).open(folder.join("api.log"))?;
        let mut command = Command::new(BINARY);
        command.args(["api", "--listener-on-stdin"]).env_clear().envs(settings);
        command.stdin(Stdio::from(OwnedFd::from(listener.try_clone()?)));
        Ok(Self(command.stdout(output.try_clone()?).stderr(output).spawn().context("starting the api")?))
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Whether it is the one that a run names as its worker (`host-pid-ulid`).
    pub fn has(&self, run: &Value) -> bool {
        run["worker"].as_str().is_some_and(|name| name.contains(&format!("-{}-", self.pid())))
    }

    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).context("a process id")?;
        Ok(kill_process(pid, signal)?)
    }

    /// Waits until SIGKILL, the fault point's or the test's, has ended it.
    pub async fn until_killed(&mut self) -> Result<()> {
        let until = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.0.try_wait()? {
                ensure!(status.signal() == Some(9), "a worker ended by itself: {status}");
                return Ok(());
            }
            ensure!(Instant::now() < until, "a worker did not come to its fault point");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until it has ended by itself, and well.
    pub async fn until_ended(&mut self) -> Result<()> {
        let until = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.0.try_wait()? {
                ensure!(status.success(), "it ended with {status}");
                return Ok(());
            }
            ensure!(Instant::now() < until, "it does not end");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Files below `folder` that it has open, deleted ones too.
    pub fn open_files(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        let entries = fs::read_dir(format!("/proc/{}/fd", self.pid()))?.flatten();
        let targets = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
        Ok(targets.filter(|path| path.starts_with(folder) && path != folder && !path.is_dir()).collect())
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The product around one team.
pub struct Stage {
    pub client: ApiClient,
    /// For looking behind the scenes.
    pub pool: PgPool,
    pub sshd: Sshd,
    pub login: Login,
    /// What is backed up unless a test says otherwise.
    pub tree: PathBuf,
    pub folder: TempDir,
    /// The customer's server, reached without a detour.
    pub server: i64,
    pub destination: i64,
    settings: Vec<(String, String)>,
    api: Role,
    listener: TcpListener,
    url: String,
    token: String,
}

impl Stage {
    pub async fn start() -> Result<Self> {
        Self::with(Database::fresh().await?, &[], "").await
    }

    /// On `database`, with `more` settings and lines of `sshd_config`.
    pub async fn with(database: Database, more: &[(&str, &str)], sshd_settings: &str) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("hf-faults-").tempdir()?;
        let (kek, disk) = (folder.path().join("kek"), folder.path().join("disk"));
        fs::create_dir(&disk)?;
        let sshd = Sshd::start_with(sshd_settings)?;
        let login = Login::create()?;
        let tree = login.home().join("data");
        make_tree(&tree)?;
        login.give(&tree)?;
        let user = ["create-user", "--email", "a@example.org", "--name", "A", "--timezone", "UTC", "--password-stdin"];
        admin(&database, &kek, &user, "a long enough phrase")?;
        let token = ["create-token", "--email", "a@example.org", "--name", "t", "--abilities", "*"];
        let token = admin(&database, &kek, &token, "")?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let listen = listener.local_addr()?.to_string();
        let own = [
            ("DATABASE_APP_URL", database.app_url()),
            ("HOLDFAST__VAULT__KEK_FILE", kek.display().to_string()),
            ("HOLDFAST__DESTINATIONS__LOCAL_ROOT", disk.display().to_string()),
            ("HOLDFAST__HTTP__LISTEN", listen.clone()),
            ("PATH", std::env::var("PATH")?),
        ];
        let quick = SETTINGS.iter().chain(more).map(|(key, value)| (*key, (*value).to_owned()));
        let settings: Vec<_> = own.into_iter().chain(quick).map(|(key, value)| (key.to_owned(), value)).collect();
        let api = Role::start_api(&listener, &settings, folder.path())?;
        let client = ApiClient::new(&format!("http://{listen}"), Some(token.clone()))?;
        let pool = database.owner_pool().await?;
        let until = Instant::now() + LIMIT;
        let destination = json!({"label": "disk", "type": "local"});
        let destination = loop {
            if let Ok(made) = client.post("backup-destinations", &destination).await {
                break made["data"]["id"].as_i64().context("a destination without an id")?;
            }
            ensure!(Instant::now() < until, "the api does not answer");
            tokio::time::sleep(POLL).await;
        };
        let keys = client.get("ssh-key").await?;
        sshd.authorize(login.name(), keys["authorized_keys_line"].as_str().context("no key line")?)?;
        let (server, destination_id) = (0, destination);
        let mut stage = Self {
            client,
            pool,
            sshd,
            login,
            tree,
            folder,
            server,
            destination: destination_id,
            settings,
            api,
            listener,
            url: format!("http://{listen}"),
            token,
        };
        stage.server = stage.server(stage.sshd.port()).await?;
        Ok(stage)
    }

    /// The api's process.
    pub fn api(&self) -> &Role {
        &self.api
    }

    /// `http://host:port` of the api.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The token of [`Stage::client`].
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Starts the api once more where the last one was, which has ended, and waits until it answers.
    pub async fn start_api(&mut self) -> Result<()> {
        self.api = Role::start_api(&self.listener, &self.settings, self.folder.path())?;
        let until = Instant::now() + LIMIT;
        while self.client.get("user").await.is_err() {
            ensure!(Instant::now() < until, "the api does not answer");
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Where the destination lies.
    pub fn disk(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    pub fn worker(&self) -> Result<Role> {
        self.worker_with(&[])
    }

    /// A worker that is killed with -9 where `fault_point` says.
    pub fn worker_that_dies(&self, fault_point: &str) -> Result<Role> {
        self.worker_with(&[("HOLDFAST_FAULT_POINT", fault_point), ("HOLDFAST__WORKER__CONCURRENCY", "1")])
    }

    pub fn worker_with(&self, more: &[(&str, &str)]) -> Result<Role> {
        let more = more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let settings: Vec<_> = self.settings.iter().cloned().chain(more).collect();
        let log = self.folder.path().join(format!("worker-{}.log", rand::random::<u32>()));
        Role::start("worker", &settings, &log)
    }

    /// A worker that writes its log to `log`.
    pub fn worker_that_logs_to(&self, log: &Path) -> Result<Role> {
        Role::start("worker", &self.settings, log)
    }

    /// The customer's server once more, at `port`, its key confirmed.
    pub async fn server(&self, port: u16) -> Result<i64> {
        self.server_with(json!({"port": port, "host_key": self.sshd.host_key()?})).await
    }

    /// The server with what `more` says of it.
    pub async fn server_with(&self, more: Value) -> Result<i64> {
        let server = json!({"label": "s", "ip_address": "127.0.0.1", "port": 22, "username": self.login.name()});
        self.create("remote-servers", merged(server, more)).await
    }

    /// The server behind a link that goes wrong as `plan` says.
    pub async fn server_behind(&self, plan: LinkPlan) -> Result<(FaultProxy, i64)> {
        let proxy = FaultProxy::start(([127, 0, 0, 1], self.sshd.port()).into(), plan).await?;
        let server = self.server(proxy.port()).await?;
        Ok((proxy, server))
    }

    pub async fn task(&self, server: i64, paths: &[&Path]) -> Result<i64> {
        let task = json!({
            "label": "files", "type": "files", "frequency": "manual", "maximum_backups_to_keep": 0,
            "remote_server_id": server, "backup_destination_id": self.destination, "source": {"paths": paths},
        });
        self.create("backup-tasks", task).await
    }

    /// Starts a run of the tree from `server`; the run's path.
    pub async fn start_run(&self, server: i64) -> Result<String> {
        let task = self.task(server, &[&self.tree]).await?;
        self.start_run_of(task).await
    }

    pub async fn start_run_of(&self, task: i64) -> Result<String> {
        Ok(format!("backup-runs/{}", steps::start_run(&self.client, task).await?))
    }

    /// Waits until `holds` is true of the run. An api without its database is asked again.
    pub async fn until(&self, run: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Result<Value> {
        let until = Instant::now() + LIMIT;
        loop {
            let read = self.client.get(run).await.map(|mut answer| answer["data"].take());
            match read {
                Ok(read) if holds(&read) => return Ok(read),
                read if Instant::now() > until => bail!("{run} never: {what}: {read:#?}; {}", self.log_of(run).await),
                _ => tokio::time::sleep(POLL).await,
            }
        }
    }

    /// The final reading.
    pub async fn ended(&self, run: &str) -> Result<Value> {
        let going = ["queued", "running", "verifying"];
        self.until(run, "its end", |run| run["status"].as_str().is_some_and(|s| !going.contains(&s))).await
    }

    /// Everything the run's log says.
    pub async fn log_of(&self, run: &str) -> String {
        let log = self.client.get(&format!("{run}/log")).await.unwrap_or(Value::Null);
        let lines = log["data"]["lines"].as_array().cloned().unwrap_or_default();
        lines.iter().filter_map(|line| line["content"].as_str()).collect::<Vec<_>>().join("\n")
    }

    /// The backup that `run` made comes back equal to what was read. Needs a living worker.
    pub async fn assert_comes_back(&self, run: &Value) -> Result<()> {
        let backup = run["backup_id"].as_i64().with_context(|| format!("a success without a backup: {run:#}"))?;
        let to = self.login.home().join(format!("back-{backup}"));
        let request = json!({"target": {"remote_server_id": self.server, "path": to}, "layout": "keep_path"});
        steps::restore(&self.client, backup, &request, |_| ()).await?;
        let found = compare(&self.tree, &below(&to, &self.tree), &CompareOptions { owners: false })?;
        ensure!(found.is_equal() && found.entries > 3, "what came back differs: {found}");
        fs::remove_dir_all(&to)?;
        Ok(())
    }

    /// What must hold after every fault (security.md 3.1, I3 and I6): no unfinished object recorded, none at the
    /// destination that is not a backup's, no process on the server, no lease. The reconciler may take a moment.
    pub async fn assert_clean(&self) -> Result<()> {
        let until = Instant::now() + LIMIT;
        loop {
            let left = self.left().await?;
            if left.is_empty() {
                let figures = FaultFigures::read(&self.pool, self.peak_memory_kib()?).await?;
                figures.print();
                ensure!(figures.is_clean(), "{figures}");
                return Ok(());
            }
            ensure!(Instant::now() < until, "left over: {left:#?}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Of the living workers' the one that took most; none where none lives.
    fn peak_memory_kib(&self) -> Result<Option<u64>> {
        let is_worker =
            |process: &processes::Process| process.arguments.iter().map(String::as_str).eq([BINARY, "worker"]);
        let ours = processes::all()?.into_iter().filter(|process| process.parent == std::process::id());
        Ok(ours.filter(is_worker).filter_map(|worker| processes::peak_memory_kib(worker.pid).ok()).max())
    }

    async fn left(&self) -> Result<Vec<String>> {
        let count = async |sql: &'static str| sqlx::query_scalar::<_, i64>(sql).fetch_one(&self.pool).await;
        let writing = count("SELECT count(*) FROM backup_run_objects WHERE state = 'writing'").await?;
        let leases = count(
            "SELECT (SELECT count(*) FROM backup_runs WHERE lease_until IS NOT NULL)
                  + (SELECT count(*) FROM restores WHERE lease_until IS NOT NULL)",
        )
        .await?;
        let recorded: Vec<String> =
            sqlx::query_scalar("SELECT name FROM backup_copy_objects").fetch_all(&self.pool).await?;
        let recorded: BTreeSet<_> = recorded.into_iter().collect();
        let stored = self.stored()?;
        let mut left = Vec::new();
        left.extend((writing > 0).then(|| format!("{writing} unfinished objects on record")));
        left.extend((leases > 0).then(|| format!("{leases} leases")));
        left.extend(stored.difference(&recorded).map(|name| format!("at the destination, and no backup's: {name}")));
        left.extend(recorded.difference(&stored).map(|name| format!("a backup's, and not at the destination: {name}")));
        left.extend(self.login.processes()?.into_iter().map(|process| format!("on the server: {process}")));
        Ok(left)
    }

    /// Names of all files of the destination, as the product records them: below `<team>/<destination>/`.
    fn stored(&self) -> Result<BTreeSet<String>> {
        let root = self.disk();
        let (mut found, mut folders) = (BTreeSet::new(), vec![root.clone()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path != root.join("store.id") {
                    let name: PathBuf = path.strip_prefix(&root)?.components().skip(2).collect();
                    found.insert(name.display().to_string());
                }
            }
        }
        Ok(found)
    }

    async fn create(&self, path: &str, body: Value) -> Result<i64> {
        self.client.post(path, &body).await?["data"]["id"].as_i64().context("an answer without an id")
    }
}

/// `into` with the members of `more`.
fn merged(mut into: Value, more: Value) -> Value {
    if let (Some(into), Value::Object(more)) = (into.as_object_mut(), more) {
        into.extend(more);
    }
    into
}

/// A file that nothing can press together.
pub fn make_noise(file: &Path, bytes: u64) -> Result<()> {
    let mut random = fs::File::open("/dev/urandom")?.take(bytes);
    std::io::copy(&mut random, &mut fs::File::create(file)?)?;
    Ok(())
}

fn make_tree(tree: &Path) -> Result<()> {
    fs::create_dir_all(tree.join("folder with spaces"))?;
    fs::write(tree.join("small.txt"), "small\n")?;
    fs::write(tree.join("folder with spaces/-- $(touch x) `y`"), "odd\n")?;
    make_noise(&tree.join("noise.bin"), TREE_BYTES as u64)?;
    std::os::unix::fs::symlink("small.txt", tree.join("link"))?;
    Ok(())
}

fn admin(database: &Database, kek: &Path, arguments: &[&str], input: &str) -> Result<String> {
    let mut child = Command::new(BINARY)
        .arg("admin")
        .args(arguments)
        .env("DATABASE_URL", database.owner_url())
        .env("HOLDFAST__VAULT__KEK_FILE", kek)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    child.stdin.take().context("no stdin")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "admin {arguments:?} failed");
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

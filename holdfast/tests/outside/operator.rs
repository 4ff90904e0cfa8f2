//! What the operator of `holdfast up` is promised: clear words when it cannot start, an orderly end, no surprise after a
//! crash, and a key that only workers see.

use crate::support::{BINARY, options, output};
use anyhow::{Context, Result, ensure};
use holdfast_testbed::client::ApiClient;
use holdfast_testbed::fault_proxy::{FaultProxy, LinkPlan};
use holdfast_testbed::processes;
use holdfast_testbed::product::{Product, free_port};
use holdfast_testbed::site::{Site, passable_folder, product_options};
use holdfast_testbed::steps;
use reqwest::Method;
use serde_json::{Value, json};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Nothing of a refused start or an orderly end takes longer.
const LIMIT: Duration = Duration::from_secs(60);

/// `holdfast up` that must fail; its last words, which are one sentence.
fn refused(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).env("RUST_BACKTRACE", "1").output()?;
    let said = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(1), "{said}");
    let last: Vec<&str> = said.lines().filter(|line| line.starts_with("holdfast: ")).collect();
    ensure!(last.len() == 1 && said.trim_end().ends_with(last[0]), "not one sentence at the end: {said}");
    ensure!(!said.contains("stack backtrace") && !said.contains("panicked"), "{said}");
    Ok(last[0].to_owned())
}

fn up(data_dir: &Path) -> Result<Command> {
    let mut command = Command::new(BINARY);
    command.args(["up", "--listen", &format!("127.0.0.1:{}", free_port()?), "--data-dir"]).arg(data_dir);
    Ok(command)
}

#[test]
fn what_is_in_the_way_is_said_before_anything_is_made() -> Result<()> {
    let folder = passable_folder("hf-operator-")?;
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let data = folder.path().join("data");
    let said = refused(Command::new(BINARY).args(["up", "--listen", &address, "--data-dir"]).arg(&data))?;
    ensure!(said.contains(&address) && said.contains("--listen"), "{said}");
    ensure!(!data.join("postgres").exists(), "a database was made for nothing");

    if crate::support::is_root() {
        let closed = folder.path().join("closed");
        fs::create_dir(&closed)?;
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700))?;
        let said = refused(&mut up(&closed.join("data"))?)?;
        ensure!(said.contains(&closed.display().to_string()), "{said}");
        ensure!(!closed.join("data/postgres").exists(), "a database was made for nothing");
    }

    let old = folder.path().join("old");
    fs::create_dir_all(old.join("postgres"))?;
    fs::write(old.join("postgres/PG_VERSION"), "42\n")?;
    let said = refused(up(&old)?.env("PATH", "/usr/sbin:/sbin"))?;
    ensure!(said.contains("apt-get install postgresql-42"), "{said}");

    let wrong = up(&data)?.env("HOLDFAST__HTTP__LISTNE", "x").env("HOLDFAST__WORKER__LEASE_SECS", "soon").output()?;
    let said = String::from_utf8(wrong.stderr)?;
    ensure!(
        !wrong.status.success() && said.contains("listne") && said.contains("lease_secs"),
        "every error at once: {said}"
    );
    Ok(())
}

#[test]
fn without_postgres_programs_the_package_is_named() -> Result<()> {
    let folder = passable_folder("hf-operator-")?;
    // A mount of its own hides them; nobody else sees it.
    let hide = "mount -t tmpfs none /usr/lib/postgresql && exec env PATH=/nowhere \"$@\"";
    let command = up(&folder.path().join("data"))?;
    let mut hidden = Command::new("unshare");
    hidden.args(["--mount", "sh", "-c", hide, "sh", BINARY]).args(command.get_args());
    let said = refused(&mut hidden)?;
    ensure!(said.contains("apt-get install postgresql"), "{said}");
    Ok(())
}

#[tokio::test]
async fn a_wrong_or_missing_key_stops_the_start() -> Result<()> {
    let site = Site::start(options()).await?;
    let Site { product, folder, .. } = site;
    let options = product.options().clone();
    let (kek, kept) = (options.data_dir.join("kek"), folder.path().join("kept"));
    let printed = fs::read_to_string(product.log())?;
    ensure!(
        printed.contains(&kek.display().to_string()) && printed.contains("Copy it"),
        "the start tells about the key"
    );
    assert_eq!(fs::metadata(&kek)?.permissions().mode() & 0o777, 0o600);
    product.stop().await?;

    fs::rename(&kek, &kept)?;
    let said = refused(up(&options.data_dir)?.envs(options.settings.iter().cloned()))?;
    ensure!(said.contains("missing") && said.contains(&kek.display().to_string()), "{said}");
    ensure!(!kek.exists(), "a new key was made beside an old database");

    // Another installation's key.
    let other = Product::start(product_options(&crate::support::options(), folder.path().join("other"))).await?;
    fs::copy(other.data_dir().join("kek"), &kek)?;
    other.stop().await?;
    let said = refused(up(&options.data_dir)?.envs(options.settings.iter().cloned()))?;
    ensure!(said.contains("not the one") && said.contains(&kek.display().to_string()), "{said}");
    nothing_is_left(&options.data_dir)?;

    fs::remove_file(&kek)?;
    fs::rename(&kept, &kek)?;
    Product::start(options).await?.stop().await
}

#[tokio::test]
async fn the_set_up_link_works_once_and_the_api_does_not_know_the_key() -> Result<()> {
    let folder = passable_folder("hf-operator-")?;
    let product = Product::start(product_options(&options(), folder.path().join("data"))).await?;
    let printed = fs::read_to_string(product.log())?;
    let (_, rest) = printed.split_once("/setup?token=").context("no link")?;
    let token = rest.split_whitespace().next().context("no token")?;
    let client = ApiClient::new(product.url(), None)?;
    let body = |token: &str, email: &str| json!({"token": token, "name": "A", "email": email, "password": "long enough 4 us", "timezone": "UTC"});
    let setup =
        async |token: &str, email: &str| client.raw(Method::POST, "auth/setup", Some(&body(token, email))).await;
    let forged = format!("{}x", &token[..token.len() - 1]);
    assert_eq!(setup(&forged, "a@example.org").await?.status, 404);
    let (one, two) = tokio::join!(setup(token, "a@example.org"), setup(token, "b@example.org"));
    let mut answers = [one?.status, two?.status];
    answers.sort_unstable();
    assert_eq!(answers, [201, 404], "one of two at once");
    assert_eq!(setup(token, "c@example.org").await?.status, 404);

    let api = product.of_role("api")?.into_iter().next().context("no api")?;
    let env = fs::read(format!("/proc/{}/environ", api.pid))?;
    let env = String::from_utf8_lossy(&env).to_lowercase();
    ensure!(
        !env.contains("kek") && !api.arguments.join(" ").contains("kek"),
        "the api is told where the key is: {env}"
    );
    ensure!(!env.contains("database_url="), "the api is told how to log in as the owner: {env}");
    ensure!(!env.contains("database_copy_url="), "the api is told how to read every team's rows: {env}");
    for file in fs::read_dir(format!("/proc/{}/fd", api.pid))?.flatten() {
        let open = fs::read_link(file.path()).unwrap_or_default();
        ensure!(!open.ends_with("kek"), "the api holds the key file open");
    }
    let worker = product.of_role("worker")?.into_iter().next().context("no worker")?;
    let env = String::from_utf8_lossy(&fs::read(format!("/proc/{}/environ", worker.pid))?).into_owned();
    ensure!(env.contains("HOLDFAST__VAULT__KEK_FILE="), "a worker is told where the key is");
    ensure!(env.contains("DATABASE_COPY_URL="), "a worker is told how to read the whole database");
    product.stop().await
}

/// A site whose task reads 4 MiB at 1 MiB a second, its run under way.
struct Slow {
    site: Site,
    run: i64,
    _link: FaultProxy,
}

impl Slow {
    async fn start() -> Result<Self> {
        let site = Site::start(options()).await?;
        let plan = LinkPlan { bytes_per_second: 1 << 20, ..LinkPlan::default() };
        let link = FaultProxy::start(([127, 0, 0, 1], site.sshd.port()).into(), plan).await?;
        let server = json!({
            "label": "slow", "ip_address": "127.0.0.1", "port": link.port(),
            "username": holdfast_testbed::site::own_name()?, "host_key": site.sshd.host_key()?,
        });
        let server = site.client.post("remote-servers", &server).await?["data"]["id"].as_i64().context("an id")?;
        let tree = site.folder().join("customer");
        fs::create_dir(&tree)?;
        let noise: Vec<u8> = (0..1 << 19).flat_map(|_| rand::random::<u64>().to_ne_bytes()).collect();
        fs::write(tree.join("noise"), noise)?;
        let task = site.task(&[&tree], json!({"remote_server_id": server})).await?;
        let run = steps::start_run(&site.client, task).await?;
        let slow = Self { site, run, _link: link };
        // Under way: bytes have come.
        slow.until(|run| run["progress"]["original_size"].as_u64() > Some(0)).await?;
        Ok(slow)
    }

    async fn until(&self, is_there: impl Fn(&Value) -> bool) -> Result<()> {
        let limit = Instant::now() + LIMIT;
        while !is_there(&self.site.client.get(&format!("backup-runs/{}", self.run)).await?["data"]) {
            ensure!(Instant::now() < limit, "the run does not come so far");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }
}

#[tokio::test]
async fn ctrl_c_lets_the_run_end_and_leaves_no_process() -> Result<()> {
    let Slow { site, run, _link } = Slow::start().await?;
    let Site { mut product, client, folder, .. } = site;
    let family: Vec<u32> = product.processes()?.iter().map(|process| process.pid).collect();
    ensure!(family.len() >= 3, "{family:?}");
    product.interrupt()?;
    let status = product.wait(LIMIT).await?;
    ensure!(status.success(), "{status}");
    gone(&family)?;
    nothing_is_left(product.data_dir())?;
    drop(client);

    let product = Product::start(product.options().clone()).await?;
    let token = product
        .admin(&["create-token", "--email", holdfast_testbed::product::USER_EMAIL, "--name", "t", "--abilities", "*"])
        .await?;
    let client = ApiClient::new(product.url(), Some(token.trim().to_owned()))?;
    let ended = client.get(&format!("backup-runs/{run}")).await?["data"].take();
    assert_eq!((&ended["status"], &ended["attempt"]), (&json!("succeeded"), &json!(1)), "{ended:#}");
    product.stop().await?;
    drop(folder);
    Ok(())
}

#[tokio::test]
async fn a_second_ctrl_c_stops_at_once_and_the_run_goes_on_after_the_next_start() -> Result<()> {
    let Slow { site, run, _link } = Slow::start().await?;
    let Site { mut product, folder, sshd, .. } = site;
    let family: Vec<u32> = product.processes()?.iter().map(|process| process.pid).collect();
    product.interrupt()?;
    product.interrupt()?;
    product.wait(Duration::from_secs(15)).await?;
    gone(&family)?;
    nothing_is_left(product.data_dir())?;

    let product = Product::start(product.options().clone()).await?;
    let token = product
        .admin(&["create-token", "--email", holdfast_testbed::product::USER_EMAIL, "--name", "t", "--abilities", "*"])
        .await?;
    let client = ApiClient::new(product.url(), Some(token.trim().to_owned()))?;
    let ended = client.finished(&format!("backup-runs/{run}"), Duration::from_millis(50), LIMIT, |_| ()).await?;
    assert_eq!(ended["status"], json!("succeeded"), "{ended:#}");
    let local = product.data_dir().join("local");
    let limit = Instant::now() + LIMIT;
    while let Some(part) =
        crate::support::files(&local)?.into_iter().find(|path| path.to_string_lossy().contains(".part"))
    {
        ensure!(Instant::now() < limit, "half-written: {}", part.display());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    product.stop().await?;
    drop((folder, sshd));
    Ok(())
}

#[tokio::test]
async fn after_a_crash_of_the_supervisor_the_next_start_takes_the_database_over() -> Result<()> {
    let site = Site::start(options()).await?;
    let Site { mut product, folder, .. } = site;
    let (database, options) = (product.database_pid()?, product.options().clone());
    let children: Vec<u32> =
        product.processes()?.iter().map(|process| process.pid).filter(|pid| *pid != product.pid()).collect();
    product.kill_supervisor()?;
    // Nobody would stop them otherwise.
    let limit = Instant::now() + LIMIT;
    while gone(&children).is_err() {
        ensure!(Instant::now() < limit, "api or worker live on without their supervisor");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ensure!(Path::new(&format!("/proc/{database}")).exists(), "the database ended with the supervisor");

    let product = Product::start(options).await?;
    assert_eq!(product.database_pid()?, database, "the database was not taken over but started anew");
    let second = refused(&mut up(product.data_dir())?)?;
    ensure!(second.contains("already runs") && second.contains(&product.pid().to_string()), "{second}");
    let data_dir = product.data_dir().to_owned();
    product.stop().await?;
    nothing_is_left(&data_dir)?;
    drop(folder);
    Ok(())
}

/// Fails while one of them lives.
fn gone(pids: &[u32]) -> Result<()> {
    let alive: Vec<_> = processes::all()?
        .into_iter()
        .filter(|process| pids.contains(&process.pid) && !process.arguments.is_empty())
        .collect();
    ensure!(alive.is_empty(), "still there: {alive:?}");
    Ok(())
}

/// No process that names the data folder, the database's included.
fn nothing_is_left(data_dir: &Path) -> Result<()> {
    let name = data_dir.canonicalize()?.display().to_string();
    let left: Vec<_> = processes::all()?
        .into_iter()
        .filter(|process| process.arguments.iter().any(|argument| argument.contains(&name)))
        .collect();
    ensure!(left.is_empty(), "left running: {left:?}");
    let listed = output(Command::new("sh").args(["-c", "ls -d /run/holdfast-* 2>/dev/null || true"]))?;
    let of_this = listed.lines().filter(|socket| {
        let owner = fs::read_to_string(data_dir.join("postgres/holdfast.conf")).unwrap_or_default();
        owner.contains(*socket)
    });
    assert_eq!(of_this.count(), 0, "the socket's folder is left");
    Ok(())
}

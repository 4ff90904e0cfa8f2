//! `./dev faults hosts`: workers, Postgres, S3 and the server are machines of their own (network namespaces), and one worker is
//! cut from one of them alone, silently, while it backs up. Another worker still reaches everything. Each run must end, no
//! success may be false or double, and nothing may be left.

use crate::harness::{RunRow, World};
use crate::process::WorkerProcess;
use holdfast_domain::ids::{BackupRunId, TeamId};
use holdfast_testbed::fault_figures::FaultFigures;
use holdfast_testbed::garage::{self, Garage};
use holdfast_testbed::network::{Host, Network};
use holdfast_testbed::sshd::Sshd;
use holdfast_vault::{Opener, SealContext, SealedColumn, Sealer};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::json;
use std::io::Write as _;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// The run ends within this, however it ends.
const RUN_LIMIT: Duration = Duration::from_secs(900);
/// What a cut off attempt left is gone within this after the cut is mended.
const CLEAN_LIMIT: Duration = Duration::from_secs(240);
/// The link of the server: a run takes some seconds.
const SERVER_MBIT: u32 = 40;
const TREE_BYTES: usize = 40 << 20;
const S3_PORT: u16 = 3900;
const POSTGRES_PORT: u16 = 5432;

/// What one worker is cut from.
#[derive(Clone, Copy, Debug)]
enum From {
    Postgres,
    S3,
    Server,
}

/// Everything on its own host. Fields go away in this order.
struct Hosts {
    relays: Vec<Child>,
    garage: Garage,
    _sshd: Sshd,
    world: World,
    postgres: Host,
    s3: Host,
    server: Host,
    workers: [Host; 2],
    network: Network,
    _folder: tempfile::TempDir,
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for relay in &mut self.relays {
            let _ = relay.kill();
            let _ = relay.wait();
        }
    }
}

impl Hosts {
    async fn new() -> Self {
        let world = World::new().await;
        let network = Network::create_joined().unwrap();
        let host = || network.host().unwrap();
        let (postgres, s3, server, workers) = (host(), host(), host(), [host(), host()]);
        server.slow_down(SERVER_MBIT).unwrap();
        let sshd = Sshd::start_on(&server, "").unwrap();
        let key = "SELECT public FROM team_keys WHERE team_id = $1 AND purpose = 'ssh'";
        let key: String = sqlx::query_scalar(key).bind(world.team_id).fetch_one(&world.pool).await.unwrap();
        sshd.authorize(world.login.name(), &key).unwrap();
        let garage = Garage::start().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("s3");
        let relays = vec![
            // A socket in the file system is reached from every namespace.
            relay_to_socket(&postgres, POSTGRES_PORT, &world.database.socket().display().to_string()),
            relay_to_socket(&s3, S3_PORT, &socket.display().to_string()),
            std::process::Command::new("socat")
                .arg(format!("UNIX-LISTEN:{},fork", socket.display()))
                .arg(format!("TCP:127.0.0.1:{}", garage.port()))
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        ];
        let hosts =
            Self { relays, garage, _sshd: sshd, world, postgres, s3, server, workers, network, _folder: folder };
        hosts.point_there().await;
        hosts
    }

    /// The world's server and destination are those on the hosts.
    async fn point_there(&self) {
        let world = &self.world;
        let mut noise = vec![0; TREE_BYTES];
        rand::RngCore::fill_bytes(&mut StdRng::seed_from_u64(7), &mut noise);
        std::fs::write(world.tree.join("more.bin"), noise).unwrap();
        world.login.give(&world.tree).unwrap();
        sqlx::query("UPDATE remote_servers SET host = $2, port = $3 WHERE id = $1")
            .bind(world.server_id)
            .bind(self.server.address().to_string())
            .bind(i32::from(self._sshd.port()))
            .execute(&world.pool)
            .await
            .unwrap();
        let seal_id = Uuid::new_v4();
        let sealer = Sealer::from_public_key(Opener::from_kek(world.kek()).public_key()).unwrap();
        let seal = |column, text: &str| {
            let place = SealContext::new(TeamId(world.team_id), column, seal_id);
            sealer.seal(&place, text.as_bytes(), &mut StdRng::from_os_rng())
        };
        let endpoint = format!("http://{}:{S3_PORT}", self.s3.address());
        let config =
            json!({"bucket": garage::BUCKET, "region": garage::REGION, "endpoint": endpoint, "path_style": true});
        sqlx::query(
            "UPDATE backup_destinations SET type = 'custom_s3', config = $2, seal_id = $3, sealed_access_key = $4,
                    sealed_secret_key = $5 WHERE id = $1",
        )
        .bind(world.destination_id)
        .bind(config)
        .bind(seal_id)
        .bind(seal(SealedColumn::DestinationAccessKey, garage::ACCESS_KEY))
        .bind(seal(SealedColumn::DestinationSecretKey, garage::SECRET_KEY))
        .execute(&world.pool)
        .await
        .unwrap();
    }

    fn worker(&self, which: usize) -> WorkerProcess {
        let url = self.world.database.app_url_at(&self.postgres.address().to_string(), POSTGRES_PORT);
        let allowed = format!("127.0.0.0/8,{}", self.network.range());
        WorkerProcess::start_on(&self.world, &self.workers[which], &url, &allowed)
    }

    /// The run once `is_enough`, within `limit`.
    async fn until(&self, run: BackupRunId, limit: Duration, is_enough: impl Fn(&RunRow) -> bool) -> RunRow {
        let until = Instant::now() + limit;
        loop {
            let row = self.world.run(run).await;
            if is_enough(&row) {
                return row;
            }
            assert!(Instant::now() < until, "{row:#?}\n{:#?}", self.world.log(run).await);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until neither the database, the store nor the server holds anything of a cut off attempt.
    async fn clean_figures(&self) -> FaultFigures {
        let until = Instant::now() + CLEAN_LIMIT;
        loop {
            let figures = FaultFigures::read(&self.world.pool, None).await.unwrap();
            let (objects, uploads) = self.garage.held().await.unwrap();
            let recorded = "SELECT count(*) FROM backup_copy_objects WHERE team_id = $1";
            let recorded = self.world.count(recorded, self.world.team_id).await;
            let processes = self.world.login.processes().unwrap();
            let is_left = objects != recorded.unsigned_abs() || uploads != 0 || !processes.is_empty();
            if figures.is_clean() && !is_left {
                return figures;
            }
            let left = format!("{objects} objects of {recorded}, {uploads} uploads, {processes:?}");
            assert!(Instant::now() < until, "{figures}; {left}");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
}

fn relay_to_socket(host: &Host, port: u16, socket: &str) -> Child {
    let listen = format!("TCP-LISTEN:{port},bind={},fork,reuseaddr", host.address());
    host.command("socat").arg(listen).arg(format!("UNIX-CONNECT:{socket}")).stderr(Stdio::null()).spawn().unwrap()
}

async fn cut_from(from: From) {
    let hosts = Hosts::new().await;
    let mut first = hosts.worker(0);
    let run = hosts.world.queue_run().await;
    let is_flowing = |row: &RunRow| {
        row.status == "running" && row.progress["original_size"].as_u64().is_some_and(|bytes| bytes > 4 << 20)
    };
    let limit = Duration::from_secs(90);
    hosts.until(run, limit, |row| is_flowing(row) || row.error_code.is_some()).await;
    let neighbour = match from {
        From::Postgres => &hosts.postgres,
        From::S3 => &hosts.s3,
        From::Server => &hosts.server,
    };
    hosts.workers[0].cut(neighbour).unwrap();
    let begun = Instant::now();
    let mut second = hosts.worker(1);
    let is_over = |row: &RunRow| !["queued", "running", "verifying"].contains(&row.status.as_str());
    let row = hosts.until(run, RUN_LIMIT, is_over).await;
    let took = begun.elapsed();
    hosts.workers[0].mend(neighbour).unwrap();
    let figures = hosts.clean_figures().await;
    let backups = hosts.world.backups().await;
    let is_success = row.status == "succeeded";
    assert!(is_success || (row.status == "failed" && row.error_code.is_some()), "{row:#?}");
    assert_eq!(backups, i64::from(is_success), "{row:#?}");
    figures.print();
    let (status, attempts, secs) = (&row.status, row.attempts, took.as_secs_f64());
    let _ =
        writeln!(std::io::stdout(), "cut from {from:?}: {status} after {attempts} attempts, {secs:.1} s after the cut");
    first.end().await;
    second.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_worker_is_cut_from_postgres_only() {
    cut_from(From::Postgres).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: a store that does not answer is asked again and again; ./dev faults hosts runs it"]
async fn one_worker_is_cut_from_s3_only() {
    cut_from(From::S3).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute of waiting for a server that does not answer; ./dev faults hosts runs it"]
async fn one_worker_is_cut_from_the_server_only() {
    cut_from(From::Server).await;
}

//! The walk itself, as a client takes it: set up, register, back up, prune, restore, compare.

use super::customer::{Customer, Engine};
use super::report::{Row, table};
use super::screen::Screen;
use super::workplace::Workplace;
use super::{DemoArgs, databases, files};
use anyhow::{Context, Result, ensure};
use holdfast_testbed::client::ApiClient;
use holdfast_testbed::product::{Product, ProductOptions};
use holdfast_testbed::steps;
use serde_json::Value;
use std::time::{Duration, Instant};

pub(super) const POLL: Duration = Duration::from_millis(100);
/// A prune begins when its run ends.
const PRUNE_LIMIT: Duration = Duration::from_secs(60);

/// What the demo started.
pub(super) struct Running {
    pub(super) product: Product,
    pub(super) client: ApiClient,
    pub(super) customer: Customer,
}

impl Running {
    /// Ends the product in order, then the customer.
    pub(super) async fn stop(self) -> Result<()> {
        self.product.stop().await
    }
}

/// The steps so far, for those that follow.
pub(super) struct Demo<'a> {
    pub(super) place: &'a Workplace,
    pub(super) screen: &'a Screen,
    pub(super) client: &'a ApiClient,
    pub(super) customer: &'a Customer,
    pub(super) server: i64,
    /// The destination on this machine's disk, and the one at the S3 server.
    pub(super) local: i64,
    pub(super) s3: i64,
    pub(super) is_root: bool,
    pub(super) rows: Vec<Row>,
}

/// Does everything; what it started is still running when it returns.
///
/// # Errors
/// The first step that failed, or what differs between what was there and what came back.
pub(super) async fn walk(args: &DemoArgs, place: &Workplace, screen: &Screen) -> Result<Running> {
    let is_root = rustix::process::geteuid().is_root();
    files::make_tree(args, place, screen, is_root).await?;
    let running = start(place, screen, is_root).await?;
    let Running { product, client, customer } = &running;
    screen.step(
        "Registering the customer's server: key in authorized_keys, host key compared and accepted, log-in checked",
    );
    let server = steps::register_server(client, &customer.sshd, customer.sshd.port(), &customer.user).await?;
    screen.step("Making two destinations, a local disk and an S3 bucket: each is written, read back and deleted");
    let local = steps::create_destination(client).await?;
    let s3 = steps::create_s3_destination(client, &customer.garage, "S3 bucket").await?;
    let mut demo = Demo { place, screen, client, customer, server, local, s3, is_root, rows: Vec::new() };
    files::show(&mut demo, product).await?;
    for engine in [Engine::Mariadb, Engine::Postgresql] {
        databases::show(&mut demo, engine).await?;
    }
    screen.block(&table(&demo.rows));
    Ok(running)
}

async fn start(place: &Workplace, screen: &Screen, is_root: bool) -> Result<Running> {
    let customer = Customer::start(screen, is_root).await?;
    screen.step("Starting the product: a private PostgreSQL, one api and two workers");
    let options = ProductOptions {
        binary: std::env::current_exe()?,
        data_dir: place.data_dir(),
        workers: 2,
        settings: vec![
            ("HOLDFAST__EGRESS__ALLOW".to_owned(), "127.0.0.0/8".to_owned()),
            ("HOLDFAST__HTTP__RATE_LIMIT_PER_MIN".to_owned(), "0".to_owned()),
            ("HOLDFAST__HTTP__RUN_RATE_LIMIT_PER_MIN".to_owned(), "0".to_owned()),
        ],
    };
    let product = Product::start(options).await?;
    let pids = |role: &str| -> Result<String> {
        Ok(product.of_role(role)?.iter().map(|process| process.pid.to_string()).collect::<Vec<_>>().join(" and "))
    };
    screen.done(&format!("api: process {}; workers: processes {}; {}", pids("api")?, pids("worker")?, product.url()));
    screen.done("The customer is on this machine, so the demo's own configuration allows 127.0.0.0/8 (egress.allow);");
    screen.done("by default no worker connects to loopback.");
    screen.step("Setting up: the first user through the one-time link, and an API token");
    let client = product.set_up().await?;
    Ok(Running { product, client, customer })
}

impl Demo<'_> {
    /// Where every task of the demo stores.
    pub(super) fn destinations(&self) -> [i64; 2] {
        [self.local, self.s3]
    }

    /// Runs `task` and returns the backup, which is verified at both destinations.
    pub(super) async fn run(&mut self, task: i64, what: &str) -> Result<Value> {
        let started = Instant::now();
        let run = steps::back_up(self.client, task, POLL, |run| self.screen.progress(run)).await?;
        let seconds = started.elapsed().as_secs_f64();
        let backup = steps::backup_of(self.client, &run).await?;
        let copies = backup["copies"].as_array().context("a backup without copies")?;
        let levels = || copies.iter().map(|copy| copy["verified_level"].as_u64().unwrap_or(0));
        ensure!(copies.len() == 2 && levels().all(|level| level > 0), "not verified everywhere: {}", backup["copies"]);
        let progress = &run["progress"];
        self.rows.push(Row {
            what: what.to_owned(),
            read_bytes: progress["original_size"].as_u64(),
            stored_bytes: progress["stored_size"].as_u64(),
            seconds,
            transfer_seconds: run["transfer_ms"].as_u64().map(|ms| ms as f64 / 1000.0),
            verified: levels().map(|level| format!("V{level}")).collect::<Vec<_>>().join(" "),
            worker: worker_of(&run),
            ..Row::default()
        });
        Ok(backup)
    }

    /// Waits until only `keep` backups of `task` are left, at both destinations.
    pub(super) async fn await_kept(&self, task: i64, keep: usize) -> Result<()> {
        let started = Instant::now();
        loop {
            let kept = steps::kept_backups(self.client, task).await?;
            if kept.len() == keep && kept.iter().all(|backup| steps::committed_copies(backup) == 2) {
                self.screen.done(&format!("pruned: {keep} of its backups left, the newest, at both destinations"));
                return Ok(());
            }
            ensure!(
                kept.len() > keep && started.elapsed() < PRUNE_LIMIT,
                "{} backups of the task are left after {:.0} s instead of {keep}",
                kept.len(),
                started.elapsed().as_secs_f64()
            );
            tokio::time::sleep(POLL).await;
        }
    }
}

/// The worker that a finished run or restore names.
pub(super) fn worker_of(job: &Value) -> String {
    job["worker"].as_str().unwrap_or("?").to_owned()
}

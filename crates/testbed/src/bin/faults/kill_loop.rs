//! `./dev faults kill-loop`: many tasks run again and again, shortly, while a worker is killed with -9 at random moments. In
//! the end every run that the API accepted has ended, none has two successes, each success has its backup, and nothing is
//! left.

use crate::Arguments;
use crate::fleet::Fleet;
use crate::world::{World, say, text};
use anyhow::{Context, Result, bail, ensure};
use holdfast_testbed::client::ApiClient;
use holdfast_testbed::fault_figures::FaultFigures;
use holdfast_testbed::steps;
use holdfast_testbed::tree::TreeSpec;
use holdfast_testbed::tree::content::Numbers;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

/// Where nothing is said.
const TIMES: u32 = 1_000;
const TASKS: usize = 6;
const WORKERS: usize = 3;
/// Between two kills, at most: a run takes about as long.
const PAUSE_MILLIS: usize = 900;
const POLL: Duration = Duration::from_millis(50);
/// Three attempts, each of which may wait for a lease to end.
const RUN_LIMIT: Duration = Duration::from_secs(180);

pub(crate) async fn kill_loop(arguments: &Arguments) -> Result<()> {
    let tree = TreeSpec { files: 20, total_bytes: 1 << 20, ..TreeSpec::small(5, false) };
    let world = World::make(&arguments.binary, 1, &tree).await?;
    disturb(&world, arguments).await.with_context(|| world.product.last_words())?;
    world.product.stop().await
}

async fn disturb(world: &World, arguments: &Arguments) -> Result<()> {
    let times = arguments.times.unwrap_or(TIMES);
    let mut fleet = Fleet::start(&world.product, arguments.binary.canonicalize()?, WORKERS)?;
    let mut tasks = Vec::new();
    for _ in 0..TASKS {
        tasks.push(world.task(0).await?);
    }
    let enough = CancellationToken::new();
    let runners = tasks.iter().map(|task| run_again_and_again(&world.client, *task, &enough));
    let killer = async {
        let killed = kill(&mut fleet, times, arguments.seed).await;
        enough.cancel();
        killed
    };
    let began = Instant::now();
    let (killed, ran) = tokio::join!(killer, futures_util::future::try_join_all(runners));
    killed?;
    let mut ended = BTreeMap::<String, u64>::new();
    for (status, count) in ran?.into_iter().flatten() {
        *ended.entry(status).or_default() += count;
    }
    judge(world, &ended).await?;
    world.nothing_is_left().await?;
    say(&format!("{times} kills in {:.0} s: every run ended, {ended:?}; nothing left", began.elapsed().as_secs_f64()));
    Ok(())
}

async fn kill(fleet: &mut Fleet, times: u32, seed: u64) -> Result<()> {
    let mut numbers = Numbers::new(seed);
    for time in 1..=times {
        tokio::time::sleep(Duration::from_millis(numbers.below(PAUSE_MILLIS).try_into()?)).await;
        fleet.replace(numbers.below(WORKERS))?;
        if time % 100 == 0 {
            say(&format!("{time} kills"));
        }
    }
    Ok(())
}

/// How the runs of one task ended.
async fn run_again_and_again(
    client: &ApiClient,
    task: i64,
    enough: &CancellationToken,
) -> Result<BTreeMap<String, u64>> {
    let mut ended = BTreeMap::new();
    while !enough.is_cancelled() {
        let run = steps::start_run(client, task).await?;
        let run = client.finished(&format!("backup-runs/{run}"), POLL, RUN_LIMIT, |_| {}).await?;
        let status = text(&run["status"]);
        let is_said = status == "succeeded" || (status == "failed" && run["error_code"].is_string());
        ensure!(is_said && run["backup_id"].is_null() == (status == "failed"), "it ended {run}");
        *ended.entry(status).or_default() += 1;
    }
    Ok(ended)
}

/// None lost, none twice, none false.
async fn judge(world: &World, ended: &BTreeMap<String, u64>) -> Result<()> {
    let socket = world.product.database_socket()?;
    let options = PgConnectOptions::new_without_pgpass().socket(socket).username("postgres").database("holdfast");
    let pool = PgPoolOptions::new().max_connections(1).connect_with(options).await?;
    let figures = FaultFigures::read(&pool, None).await?;
    let (runs, backups): (i64, i64) =
        sqlx::query_as("SELECT (SELECT count(*) FROM backup_runs), (SELECT count(*) FROM backups)")
            .fetch_one(&pool)
            .await?;
    let all: u64 = ended.values().sum();
    let good = ended.get("succeeded").copied().unwrap_or_default();
    if i64::try_from(all)? != runs || i64::try_from(good)? != backups {
        bail!("{runs} runs on record and {all} that ended; {backups} backups and {good} successes");
    }
    // What a killed attempt left may still be on its way out; the look at leftovers after this waits for it.
    let figures = FaultFigures { residue: 0, ..figures };
    figures.print();
    ensure!(figures.is_clean(), "{figures}");
    Ok(())
}

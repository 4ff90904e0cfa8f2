//! `GET /api/backup-tasks?per_page=100` of an installation with many teams, against a bare handler on the same database that
//! knows neither people nor teams' walls: one query, the same body. The sides take turns, under the same client.

mod bare;
mod load;
pub(crate) mod teams;

pub(crate) use bare::serve;
pub(crate) use teams::owner;

use crate::figures::median;
use crate::session::{Bench, Session};
use anyhow::{Context, Result, ensure};
use load::{Load, Target};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

const TEAMS: u32 = 1_000;
/// With the first team's ten: 10,000.
const TASKS_PER_TEAM: u32 = 10;
const CLIENTS: usize = 64;
/// Of each side in each round, before anything counts.
const WARM_UP: Duration = Duration::from_secs(2);
const MEASURED: Duration = Duration::from_secs(8);
const QUERY: &str = "/api/backup-tasks?per_page=100";

pub(crate) async fn measure(bench: &Bench) -> Result<String> {
    let session = Session::open(bench, "list", async |port| Ok(port)).await?;
    let teams = teams::fill(&session, TEAMS, TASKS_PER_TEAM).await?;
    let socket = session.product.database_socket()?;
    let (address, mut child) = start_bare(&socket, session.product.url()).await?;
    let here: SocketAddr = session.product.url().trim_start_matches("http://").parse()?;
    let ours: Vec<_> = teams.iter().map(|team| Target::ours(here, QUERY, &team.token)).collect();
    let bare: Vec<_> = teams.iter().map(|team| Target::bare(address, here, team.id)).collect();
    let bytes = same_answers(&ours, &bare).await?;
    let (mut product, mut handler) = (Vec::new(), Vec::new());
    for round in 1..=bench.rounds {
        crate::eprint_line(&format!("   round {round} of {}", bench.rounds));
        handler.push(load::run(&bare, CLIENTS, WARM_UP, MEASURED).await?);
        product.push(load::run(&ours, CLIENTS, WARM_UP, MEASURED).await?);
    }
    child.kill().await?;
    session.close().await?;
    Ok(text(&product, &handler, bytes))
}

/// The bare handler in a process of its own, as the product's api is one.
async fn start_bare(socket: &Path, product: &str) -> Result<(SocketAddr, Child)> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg("--bare-list")
        .arg(socket)
        .arg("--base")
        .arg(product)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let output = child.stdout.take().context("no output")?;
    let line = BufReader::new(output).lines().next_line().await?.context("the bare handler did not start")?;
    Ok((line.parse()?, child))
}

/// Both sides say the same of each team; how long one answer is.
async fn same_answers(ours: &[Target], bare: &[Target]) -> Result<usize> {
    let mut bytes = 0;
    for (ours, bare) in ours.iter().zip(bare).take(CLIENTS) {
        let (ours, bare) = (ours.once().await?, bare.once().await?);
        let (left, right) = (String::from_utf8_lossy(&ours), String::from_utf8_lossy(&bare));
        ensure!(left == right, "the sides differ:\n{left}\n{right}");
        bytes = ours.len();
    }
    Ok(bytes)
}

fn text(product: &[Load], handler: &[Load], bytes: usize) -> String {
    let speed = |loads: &[Load]| median(loads.iter().map(|load| load.requests as f64 / load.seconds));
    let at = |loads: &[Load], share: f64| median(loads.iter().map(|load| load.quantile_ms(share)));
    let each = |loads: &[Load]| {
        let all = loads.iter().map(|load| format!("{:.0}", load.requests as f64 / load.seconds));
        all.collect::<Vec<_>>().join(", ")
    };
    let line = |name: &str, loads: &[Load]| {
        let (half, most) = (at(loads, 0.5), at(loads, 0.99));
        format!("| {name} | {:.0} | {half:.2} | {most:.2} | {:.1} |\n", speed(loads), most / half)
    };
    format!(
        "## A list\n\n\
         `GET {QUERY}` with {tasks} tasks in {TEAMS} teams, {CLIENTS} clients that each ask for another team's list ({bytes} \
         bytes) over one kept connection, {seconds} s a side and round after {warm} s to warm up, medians of {rounds} rounds, \
         taking turns. The bare handler is axum with the same pool on the same database: one query as its owner, no token, no \
         team's wall, the same bytes as the answer. Its client, its database and the machine are the product's too.\n\n\
         | | requests/s | p50, ms | p99, ms | p99 / p50 |\n|---|---|---|---|---|\n{ours}{bare}\n\
         The product answers **{ratio:.2} ×** the bare handler's requests (goal: ≥ 0.6); its p99 is **{spread:.1} ×** its p50 \
         (goal: ≤ 5). Each round, requests/s: holdfast {our_all}; bare {bare_all}.\n\n",
        tasks = TEAMS * TASKS_PER_TEAM,
        seconds = MEASURED.as_secs(),
        warm = WARM_UP.as_secs(),
        rounds = product.len(),
        ours = line("**holdfast**", product),
        bare = line("bare handler", handler),
        ratio = speed(product) / speed(handler),
        spread = at(product, 0.99) / at(product, 0.5),
        our_all = each(product),
        bare_all = each(handler),
    )
}

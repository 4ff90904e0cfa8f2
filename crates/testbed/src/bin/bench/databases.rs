//! Databases of 1 GiB over SSH to a local disk, against the same dump in the shell pipeline. The sides take turns.

use crate::figures::{MIB, Measured, listed, median};
use crate::session::{Bench, Session};
use crate::shell::Shell;
use crate::throughput::{sync, transfer_and_duration};
use anyhow::{Context, Result};
use holdfast_testbed::customer_postgres::{self, CustomerPostgres};
use holdfast_testbed::mariadb::{self, MariaDb};
use holdfast_testbed::{sample, steps};
use serde_json::{Value, json};
use std::time::Duration;

const POLL: Duration = Duration::from_millis(50);
/// Rows of the largest table: a dump of 1 GiB with either engine.
const ROWS: u32 = 2_600_000;
const SHOP: &str = "shop";
/// What the product asks of it too.
const MARIADB_DUMP: &str =
    "--single-transaction --quick --routines --events --triggers --hex-blob --default-character-set=utf8mb4";

/// What one engine took.
struct Engine {
    name: &'static str,
    original_bytes: u64,
    ours: Vec<(f64, f64)>,
    theirs: Vec<Measured>,
    command: String,
}

pub(crate) async fn measure(bench: &Bench) -> Result<String> {
    let engines = [of_mariadb(bench).await?, of_postgresql(bench).await?];
    Ok(text(&engines))
}

async fn of_mariadb(bench: &Bench) -> Result<Engine> {
    let server = MariaDb::start_with("innodb-buffer-pool-size=1536M").await?;
    sample::fill_mariadb(&server, SHOP, ROWS).await?;
    let shell = Shell::prepare(bench).await?;
    let options = format!("[client]\nuser={}\npassword={}\n", mariadb::ADMIN, quoted(mariadb::PASSWORD));
    let file = shell.secret_file("my.cnf", &options)?;
    let command = format!(
        "mariadb-dump --defaults-file={} --host=127.0.0.1 --port={} {MARIADB_DUMP} {SHOP}",
        file.display(),
        server.port()
    );
    let source = json!({
        "engine": "mariadb", "host": "127.0.0.1", "port": server.port(), "username": mariadb::ADMIN,
        "password": mariadb::PASSWORD, "databases": [SHOP],
    });
    rounds(bench, shell, ("MariaDB", command), source).await
}

async fn of_postgresql(bench: &Bench) -> Result<Engine> {
    let server = CustomerPostgres::start().await?;
    sample::fill_postgresql(&server, SHOP, ROWS).await?;
    let shell = Shell::prepare(bench).await?;
    let file = shell.secret_file("postgresql-password", customer_postgres::PASSWORD)?;
    let command = format!(
        "PGPASSWORD=\"$(cat {})\" pg_dump -h 127.0.0.1 -p {} -U {} -w -Fc -Z0 {SHOP}",
        file.display(),
        server.port(),
        customer_postgres::SUPERUSER
    );
    let source = json!({
        "engine": "postgresql", "host": "127.0.0.1", "port": server.port(), "username": customer_postgres::SUPERUSER,
        "password": customer_postgres::PASSWORD, "databases": [SHOP],
    });
    rounds(bench, shell, ("PostgreSQL", command), source).await
}

async fn rounds(bench: &Bench, shell: Shell, (name, command): (&'static str, String), source: Value) -> Result<Engine> {
    let session = Session::open(bench, "databases", async |port| Ok(port)).await?;
    let more = json!({"encryption": {"mode": "managed"}, "maximum_backups_to_keep": 1});
    let places = [session.destination];
    let task = steps::create_database_task(&session.client, session.server, &places, &source, more).await?;
    let (mut ours, mut theirs, mut original_bytes) = (Vec::new(), Vec::new(), 0);
    for round in 0..=bench.rounds {
        crate::eprint_line(&format!("   {name}, round {round} of {} (0 is not counted)", bench.rounds));
        sync().await?;
        let run = steps::back_up(&session.client, task, POLL, |_| {}).await?;
        sync().await?;
        let measured = shell.back_up(shell.sshd.port(), &command, 0).await?;
        original_bytes = run["progress"]["original_size"].as_u64().context("no original_size")?;
        if round > 0 {
            ours.push(transfer_and_duration(&run)?);
            theirs.push(measured);
        }
    }
    session.close().await?;
    let command = shell.pipeline(shell.sshd.port(), &command, 0, &shell.disk());
    shell.remove()?;
    Ok(Engine { name, original_bytes, ours, theirs, command })
}

/// A value of an option file.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn text(engines: &[Engine]) -> String {
    let mut text = String::from(
        "## Databases over SSH to a local disk\n\n\
         One database of a shop, managed key. Medians; in each round the sides took turns. The pipeline's seconds hold its \
         log-in and end with fsync; `zstd` runs with `-T0`.\n\n\
         | | dump, MiB | holdfast, transfer, s | MiB/s | the whole run, s | shell, s | transfer against shell (goal: ≥ 0.95) | \
         run against shell |\n|---|---|---|---|---|---|---|---|\n",
    );
    for engine in engines {
        let mib = engine.original_bytes as f64 / MIB;
        let transfer = median(engine.ours.iter().map(|(transfer, _)| *transfer));
        let duration = median(engine.ours.iter().map(|(_, duration)| *duration));
        let shell = median(engine.theirs.iter().map(|measured| measured.seconds));
        text.push_str(&format!(
            "| {} | {mib:.0} | {transfer:.2} | {:.0} | {duration:.2} | {shell:.2} | **{:.2} ×** | {:.2} × |\n",
            engine.name,
            mib / transfer,
            shell / transfer,
            shell / duration
        ));
    }
    for engine in engines {
        text.push_str(&format!(
            "\n{}, each round, seconds: holdfast {}; shell {}.\n\n```sh\n{}\n```\n",
            engine.name,
            listed(engine.ours.iter().map(|(transfer, _)| *transfer)),
            listed(engine.theirs.iter().map(|measured| measured.seconds)),
            engine.command
        ));
    }
    text.push('\n');
    text
}

//! `holdfast up`: one machine. A private database (or `DATABASE_URL`), the schema, the key, then one api and some
//! workers as processes of their own. The key's path goes to the workers alone, the log-in key's to the api.

mod children;

use crate::cli::UpArgs;
use crate::data_dir::DataDir;
use crate::database::Database;
use crate::lifecycle::Lifecycle;
use crate::logging::{self, say};
use crate::schema::CopyBefore;
use crate::{kek, supervisor};
use anyhow::{Context, Result, bail};
use children::Shared;
use futures_util::future::try_join_all;
use holdfast_config::Config;
use holdfast_store::Store;
use holdfast_vault::KekOrigin;
use holdfast_vault::ticket::SetupSecret;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub async fn run(args: UpArgs, file: Option<&Path>) -> Result<ExitCode> {
    let config = super::load_config(file)?;
    logging::start(&config.log)?;
    let lifecycle = Lifecycle::default();
    lifecycle.run(up(args, file, config, &lifecycle)).await?;
    Ok(ExitCode::SUCCESS)
}

async fn up(args: UpArgs, file: Option<&Path>, config: Config, lifecycle: &Lifecycle) -> Result<()> {
    let folder = args
        .place
        .data_dir
        .as_deref()
        .context("say where the data goes: --data-dir DIR (such as /var/lib/holdfast)")?;
    if args.workers > 1 && config.data_plane.listen.port() != 0 {
        bail!("several workers cannot listen on one port: set `data_plane.listen` to port 0, or --workers 1");
    }
    let data_dir = DataDir::prepare(folder)?;
    let listener = bind(args.listen.unwrap_or(config.http.listen), "--listen HOST:PORT")?;
    if let Some(address) = config.operator.listen {
        // The api binds it; that it cannot is better said here than by every attempt to start one.
        drop(bind(address, "`operator.listen`")?);
    }
    let database = Database::open(&args.place, Some(&data_dir), "up").await?;
    let address = listener.local_addr()?;
    let shared = Shared { file, config: &config, data_dir: &data_dir, database: &database, address };
    let outcome = tokio::select! {
        outcome = serve(&shared, listener, args.workers, lifecycle) => outcome,
        error = database.keep_running() => Err(error),
    };
    let closed = database.close().await;
    outcome.and(closed)
}

async fn serve(shared: &Shared<'_>, listener: TcpListener, workers: u16, lifecycle: &Lifecycle) -> Result<()> {
    let copies = CopyBefore::Into(Some(shared.data_dir.copies()));
    tracing::info!("{}", super::migrate::migrate(shared.database, &copies).await?);
    let store = shared.database.store().await?;
    let (kek_file, login_key_file) = keys(shared, &store).await?;
    let mut services = vec![children::api(shared, listener, &login_key_file)?];
    for number in 1..=workers {
        services.push(children::worker(shared, number, &kek_file)?);
    }
    if lifecycle.soft.is_cancelled() {
        return Ok(());
    }
    announce(shared, &store).await?;
    store.queue_pool().close().await;
    try_join_all(services.iter().map(|service| supervisor::keep(service, lifecycle))).await.map(|_| ())
}

/// Bound here and handed to the api, so that a restart of the api refuses nobody.
fn bind(address: SocketAddr, chosen_with: &str) -> Result<TcpListener> {
    let listener = TcpListener::bind(address).map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            anyhow::anyhow!("something else listens on {address} already: choose another address with {chosen_with}")
        }
        _ => anyhow::anyhow!("cannot listen on {address} ({error}): choose another address with {chosen_with}"),
    })?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// The key file, for the workers, and the log-in key's, for the api.
async fn keys(shared: &Shared<'_>, store: &Store) -> Result<(PathBuf, PathBuf)> {
    let path = kek::path(shared.config, Some(shared.data_dir))?;
    let path = std::path::absolute(&path).with_context(|| path.display().to_string())?;
    let (kek, origin) = kek::open(&path, store).await?;
    if origin == KekOrigin::Created {
        say(format_args!(
            "The key file {} was made. Copy it to a safe place that is not on this machine: without it no stored secret \
             and no backup in managed mode can be opened.",
            path.display()
        ));
    }
    let login_key = kek::login_key(shared.config, &path, &kek)?;
    Ok((path, login_key))
}

async fn announce(shared: &Shared<'_>, store: &Store) -> Result<()> {
    let url = match &shared.config.http.public_url {
        Some(url) => url.to_string().trim_end_matches('/').to_owned(),
        None => format!("http://{}", shared.address),
    };
    say(format_args!("Holdfast is at {url} (data in {}); Ctrl-C ends it.", shared.data_dir.path().display()));
    if let Some(address) = shared.config.operator.listen {
        say(format_args!("The operator's listener is at http://{address}."));
    }
    let secret = SetupSecret::generate(&mut rand::rng());
    if store.issue_setup_link(secret.hash().as_bytes()).await? {
        say(format_args!(
            "There is no user yet. Make the first one, once, at:\n  {url}/setup?token={}",
            secret.expose()
        ));
    }
    Ok(())
}

//! What the processes under `holdfast up` are given: their environment is made here, from nothing.

use crate::data_dir::DataDir;
use crate::database::Database;
use crate::supervisor::Service;
use anyhow::{Context, Result};
use holdfast_config::Config;
use secrecy::ExposeSecret;
use std::ffi::OsString;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

/// What every program may need of the outer environment; nothing of it is a secret.
const PASSED_ON: &[&str] = &["PATH", "TZ", "LANG", "LC_ALL", "RUST_BACKTRACE"];
/// Settings begin with it.
const SETTING: &str = "HOLDFAST__";
/// The one setting that the api must not have.
const KEK_FILE: &str = "HOLDFAST__VAULT__KEK_FILE";
/// The one setting that the workers have no use for.
const LOGIN_KEY_FILE: &str = "HOLDFAST__ACCOUNTS__LOGIN_KEY_FILE";
/// The address that reads the whole database; the workers' alone.
const COPY_URL: &str = "DATABASE_COPY_URL";
/// Open requests of the api: a download goes on as long as its client reads, and is cut at the end of this.
const API_DRAIN: Duration = Duration::from_secs(30);
/// What a worker gets on top of its own limit to tell everybody that it stops.
const WORKER_DRAIN_EXTRA: Duration = Duration::from_secs(25);

/// What all processes share.
pub struct Shared<'a> {
    /// The configuration file.
    pub file: Option<&'a Path>,
    /// What it says.
    pub config: &'a Config,
    /// The data folder.
    pub data_dir: &'a DataDir,
    /// The database.
    pub database: &'a Database,
    /// Where the api listens.
    pub address: SocketAddr,
}

/// The api: the log-in key and no other, and of the database the application's rights where there is a log-in with only those.
pub fn api(shared: &Shared<'_>, listener: TcpListener, login_key_file: &Path) -> Result<Service> {
    let mut env = environment(shared)?;
    env.retain(|(key, _)| key != KEK_FILE);
    set(&mut env, LOGIN_KEY_FILE, login_key_file);
    set(&mut env, "HOLDFAST__HTTP__LISTEN", shared.address.to_string());
    Ok(Service {
        name: "api".to_owned(),
        arguments: vec!["api".into(), "--listener-on-stdin".into()],
        env,
        stdin: Some(listener.into()),
        drain: API_DRAIN,
    })
}

/// A worker: the key, private networks (this is one machine in somebody's own network), a place for local backups.
pub fn worker(shared: &Shared<'_>, number: u16, kek_file: &Path) -> Result<Service> {
    let mut env = environment(shared)?;
    env.retain(|(key, _)| key != LOGIN_KEY_FILE);
    set(&mut env, KEK_FILE, kek_file);
    match shared.database.copy_url() {
        Some(url) => set(&mut env, COPY_URL, url.expose_secret()),
        None => env.extend(std::env::var_os(COPY_URL).map(|url| (COPY_URL.into(), url))),
    }
    if !is_set_in_file(shared.file, "egress", "allow_private")? {
        set_default(&mut env, "HOLDFAST__EGRESS__ALLOW_PRIVATE", "true");
    }
    if shared.config.destinations.local_root.is_none() {
        let root = shared.data_dir.local_root();
        let mut builder = std::fs::DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(&root)
            .with_context(|| format!("{} cannot be made", root.display()))?;
        set(&mut env, "HOLDFAST__DESTINATIONS__LOCAL_ROOT", root);
    }
    Ok(Service {
        name: format!("worker {number}"),
        arguments: vec!["worker".into()],
        env,
        stdin: None,
        drain: shared.config.worker.drain_timeout + WORKER_DRAIN_EXTRA,
    })
}

fn environment(shared: &Shared<'_>) -> Result<Vec<(OsString, OsString)>> {
    let is_ours = |key: &str| PASSED_ON.contains(&key) || key.starts_with(SETTING);
    let mut env: Vec<_> = std::env::vars_os().filter(|(key, _)| key.to_str().is_some_and(is_ours)).collect();
    if let Some(file) = shared.file {
        set(&mut env, "HOLDFAST_CONFIG", std::path::absolute(file).context("the configuration file's path")?);
    }
    let (key, url) = shared.database.address_for_children();
    set(&mut env, key, url);
    Ok(env)
}

fn set(env: &mut Vec<(OsString, OsString)>, key: &str, value: impl Into<OsString>) {
    env.retain(|(known, _)| known != key);
    env.push((key.into(), value.into()));
}

fn set_default(env: &mut Vec<(OsString, OsString)>, key: &str, value: &str) {
    if !env.iter().any(|(known, _)| known == key) {
        env.push((key.into(), value.into()));
    }
}

/// `up` has defaults of its own; what the operator wrote in the file must win over them.
fn is_set_in_file(file: Option<&Path>, section: &str, key: &str) -> Result<bool> {
    let Some(file) = file else { return Ok(false) };
    let table: toml::Table = std::fs::read_to_string(file)?.parse()?;
    Ok(table.get(section).and_then(|section| section.get(key)).is_some())
}

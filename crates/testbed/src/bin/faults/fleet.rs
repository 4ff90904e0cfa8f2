//! Workers beside those that `up` keeps: it waits longer and longer before it starts one again that keeps dying, and these
//! are to die often.

use anyhow::{Context, Result};
use holdfast_testbed::product::Product;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Tells a role of `up` whose child it is; it ends with that parent, which is another one here.
const PARENT: &str = "HOLDFAST_PARENT_PID";

/// Workers like `up`'s own, killed when dropped.
pub(crate) struct Fleet {
    binary: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    workers: Vec<Child>,
}

impl Fleet {
    /// So many workers that are started as the product's own one is.
    pub(crate) fn start(product: &Product, binary: PathBuf, workers: usize) -> Result<Self> {
        let model = product.of_role("worker")?.into_iter().next().context("no worker lives")?;
        let environ = std::fs::read(format!("/proc/{}/environ", model.pid))?;
        let pairs = environ.split(|byte| *byte == 0).map(String::from_utf8_lossy);
        let pairs =
            pairs.filter_map(|pair| pair.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())));
        let environment = pairs.filter(|(key, _)| key != PARENT).collect();
        let arguments = model.arguments.get(1..).unwrap_or_default().to_vec();
        let mut fleet = Self { binary, arguments, environment, workers: Vec::new() };
        for _ in 0..workers {
            let worker = fleet.one()?;
            fleet.workers.push(worker);
        }
        Ok(fleet)
    }

    /// Kills one with -9, and starts another in its place.
    pub(crate) fn replace(&mut self, which: usize) -> Result<()> {
        let new = self.one()?;
        let count = self.workers.len();
        let mut old = std::mem::replace(&mut self.workers[which % count], new);
        let killed = old.kill();
        old.wait()?;
        Ok(killed?)
    }

    fn one(&self) -> Result<Child> {
        let mut command = Command::new(&self.binary);
        command.args(&self.arguments).env_clear().envs(self.environment.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().context("starting a worker")
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            let _ = worker.kill();
            let _ = worker.wait();
        }
    }
}

//! A backup's bytes touch no disk but the destination's, and a restore's none but the target's.

use crate::support::{assert_equal, options, output};
use anyhow::{Context, Result, ensure};
use holdfast_testbed::product::Product;
use holdfast_testbed::site::{Site, below};
use holdfast_testbed::sshd::Login;
use holdfast_testbed::writes::{Watch, Written};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Nothing of it can be pressed together, so that a copy of it, in whatever form, is as large.
const PAYLOAD_BYTES: usize = 12 << 20;
/// Log lines and rows of the database.
const TALK_BYTES: u64 = 256 << 10;
/// What `sshd` writes about log-ins, and where everybody writes nothing.
const SYSTEM: [&str; 4] = ["/dev/", "/proc/", "/run/", "/var/log/"];

#[tokio::test]
async fn no_byte_of_a_backup_or_restore_takes_a_way_over_another_disk() -> Result<()> {
    let site = Site::start(options()).await?;
    // Not the user that runs the test: whatever its login shell starts and writes would be seen as well.
    let user = Login::create()?;
    let server = site.server_for(user.name()).await?;
    let tree = user.home().join("data");
    fs::create_dir(&tree)?;
    let payload: Vec<u8> = (0..PAYLOAD_BYTES / 8).flat_map(|_| rand::random::<u64>().to_ne_bytes()).collect();
    fs::write(tree.join("payload"), &payload)?;
    user.give(&tree)?;
    let task = site.task(&[&tree], json!({"remote_server_id": server, "encryption": {"mode": "managed"}})).await?;
    let (root, log) = (site.local_root(), site.product.log().to_owned());

    let watching = Watching::start(&site, "backup")?;
    let wal = wal_position(&site.product)?;
    let backup = site.back_up(task).await?;
    ensure!(wal_position(&site.product)? - wal < 4 << 20, "the payload went into the database");
    let (product, customer) = watching.stop()?;
    ensure!(volume(&product, |path| path.starts_with(&root)) >= PAYLOAD_BYTES as u64, "strace is blind: {product:?}");
    only(&product, &[&root], &log)?;
    only(&customer, &[], &site.sshd.dir().join("log"))?;

    let watching = Watching::start(&site, "restore")?;
    let to = user.home().join("restored");
    site.restore_well(&backup, &to, json!({"target": {"remote_server_id": server}, "restore_owners": false})).await?;
    let (product, customer) = watching.stop()?;
    only(&product, &[], &log)?;
    let staging = user.home().join(".holdfast-restore-");
    let is_staging = |path: &Path| path.to_string_lossy().starts_with(&*staging.to_string_lossy());
    ensure!(volume(&customer, is_staging) >= PAYLOAD_BYTES as u64, "strace is blind: {customer:?}");
    let others: Written = customer.into_iter().filter(|(path, _)| !is_staging(Path::new(path))).collect();
    only(&others, &[], &site.sshd.dir().join("log"))?;
    assert_equal(&tree, &below(&to, &tree))?;

    let watching = Watching::start(&site, "download")?;
    site.download(&backup, &site.folder().join("download")).await?;
    let (product, _) = watching.stop()?;
    only(&product, &[], &log)?;
    site.product.stop().await
}

/// A look at api and worker, and one at the customer's server.
struct Watching {
    product: Vec<Watch>,
    customer: Watch,
}

impl Watching {
    fn start(site: &Site, name: &str) -> Result<Self> {
        let seen = |who: &str| site.folder().join(format!("{name}-{who}.strace"));
        let roles = ["api", "worker"].map(|role| {
            let process = site.product.of_role(role)?.into_iter().next().with_context(|| format!("no {role}"))?;
            Watch::start(process.pid, seen(role))
        });
        let product = roles.into_iter().collect::<Result<_>>()?;
        Ok(Self { product, customer: Watch::start(site.sshd.listener_pid()?, seen("customer"))? })
    }

    fn stop(self) -> Result<(Written, Written)> {
        let mut product = Written::new();
        for watch in self.product {
            for (path, bytes) in watch.stop()? {
                *product.entry(path).or_default() += bytes;
            }
        }
        Ok((product, self.customer.stop()?))
    }
}

fn volume(written: &Written, wanted: impl Fn(&Path) -> bool) -> u64 {
    written.iter().filter(|(path, _)| wanted(Path::new(path))).map(|(_, bytes)| bytes).sum()
}

/// Nothing was opened for writing but files below `allowed`, the log, and the system's own; and not much went to those.
fn only(written: &Written, allowed: &[&Path], log: &Path) -> Result<()> {
    let others: Written = written
        .iter()
        .filter(|(path, _)| !allowed.iter().any(|folder| Path::new(path).starts_with(folder)))
        .map(|(path, bytes)| (path.clone(), *bytes))
        .collect();
    let strange: Vec<_> = others
        .keys()
        .filter(|path| Path::new(path) != log && !SYSTEM.iter().any(|known| path.starts_with(known)))
        .collect();
    ensure!(strange.is_empty(), "files were opened for writing that nobody should touch: {strange:?}");
    let talk: u64 = others.iter().filter(|(path, _)| !path.starts_with("/dev/")).map(|(_, bytes)| bytes).sum();
    ensure!(talk < TALK_BYTES, "much was written elsewhere: {others:?}");
    Ok(())
}

/// Bytes of the database's log of changes so far.
fn wal_position(product: &Product) -> Result<u64> {
    let query = "SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint";
    let mut psql = Command::new("psql");
    psql.arg("-h").arg(product.database_socket()?).args(["-U", "postgres", "-Atc", query, "postgres"]);
    Ok(output(&mut psql)?.trim().parse()?)
}

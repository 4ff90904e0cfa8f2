//! The customer's files: backed up over SSH to both destinations, restored whole and in part, and opened by hand.

use super::databases::copy_at;
use super::report::Row;
use super::screen::Screen;
use super::walk::{Demo, worker_of};
use super::workplace::Workplace;
use super::{DemoArgs, by_hand};
use anyhow::{Context, Result, bail, ensure};
use holdfast_testbed::compare::{CompareOptions, Comparison, compare};
use holdfast_testbed::product::Product;
use holdfast_testbed::steps;
use holdfast_testbed::tree::{TreeSpec, generate};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Always the same tree, so that two demos can be compared.
const SEED: u64 = 20_261_120;

/// Makes what the customer has.
pub(super) async fn make_tree(args: &DemoArgs, place: &Workplace, screen: &Screen, is_root: bool) -> Result<()> {
    let spec = TreeSpec {
        seed: SEED,
        files: usize::try_from(args.files)?,
        total_bytes: u64::from(args.size_mib) << 20,
        owners: is_root,
        fifo: true,
    };
    screen.step(&format!(
        "Making the customer's files: {} files, {} MiB, in {}",
        spec.files,
        args.size_mib,
        place.tree().display()
    ));
    if !is_root {
        screen.done("(not root: all files belong to one user, and owners are not restored)");
    }
    let (tree, started) = (place.tree(), Instant::now());
    let made = tokio::task::spawn_blocking(move || generate(&tree, &spec)).await??;
    screen.done(&format!(
        "{} files, {} folders, {} symbolic and {} hard links, {} with attributes, in {:.1} s",
        made.files,
        made.folders,
        made.symlinks,
        made.hard_links,
        made.with_attributes,
        started.elapsed().as_secs_f64()
    ));
    Ok(())
}

/// Backs the tree up twice, of which one is kept, and gets it back in three ways.
pub(super) async fn show(demo: &mut Demo<'_>, product: &Product) -> Result<()> {
    demo.screen.step("Files: a backup over SSH in one pass, encrypted, to both destinations; another replaces it");
    let more = json!({
        "encryption": {"mode": "managed"}, "backup_destination_ids": demo.destinations(), "maximum_backups_to_keep": 1,
    });
    let task = steps::create_task(demo.client, demo.server, demo.local, &demo.place.tree(), more).await?;
    demo.run(task, "files backup 1").await?;
    std::fs::write(demo.place.tree().join("written after the first backup"), "and before the second\n")?;
    let backup = demo.run(task, "files backup 2").await?;
    demo.await_kept(task, 1).await?;
    restore_all(demo, &backup).await?;
    restore_some(demo, &backup).await?;
    open_by_hand(demo, &backup, product).await
}

async fn restore_all(demo: &mut Demo<'_>, backup: &Value) -> Result<()> {
    demo.screen.step("Files: restoring everything to another path through SSH, from the disk");
    let to = demo.place.path().join("customer/restored");
    let (done, seconds) = restore(demo, (backup, demo.local), &to, json!([])).await?;
    let equal = compared(demo, &demo.place.tree(), &below(&to, &demo.place.tree())?).await?;
    let what = "files restore, disk".to_owned();
    demo.rows.push(Row { what, seconds, equal, worker: worker_of(&done), ..Row::default() });
    // Makes room for what is unpacked by hand; with `--keep` there are two copies enough to look at.
    tokio::task::spawn_blocking(move || std::fs::remove_dir_all(to)).await?.context("removing the restored files")
}

async fn restore_some(demo: &mut Demo<'_>, backup: &Value) -> Result<()> {
    demo.screen.step(
        "Files: restoring one folder from S3: names with quotes, newlines, options, shell syntax, other encodings",
    );
    let (wanted, to) = (demo.place.tree().join("odd/folders"), demo.place.path().join("customer/restored-odd"));
    let (done, seconds) = restore(demo, (backup, demo.s3), &to, json!([wanted])).await?;
    let equal = compared(demo, &wanted, &below(&to, &wanted)?).await?;
    let what = "files restore, a folder, S3".to_owned();
    demo.rows.push(Row { what, seconds, equal, worker: worker_of(&done), ..Row::default() });
    Ok(())
}

async fn open_by_hand(demo: &mut Demo<'_>, backup: &Value, product: &Product) -> Result<()> {
    demo.screen.step(
        "Files: downloading what is stored, and opening it with age, zstd and tar and the recovery kit's key alone",
    );
    let (id, object) =
        (backup["id"].as_i64().context("a backup without an id")?, demo.place.path().join("backup.tar.zst.age"));
    let started = Instant::now();
    demo.client.download(&format!("backups/{id}/download"), &object).await?;
    let (wanted, got) = (&backup["streams"][0]["stored_sha256"], by_hand::sha256(&object).await?);
    ensure!(wanted.as_str() == Some(&got), "the download's SHA-256 is {got}, and the backup says {wanted}");
    // The demo's team is the first one of its new database.
    let kit = product.admin(&["recovery-kit", "--team", "1"]).await?;
    let opened = demo.place.path().join("opened");
    by_hand::open(&kit, &object, &opened).await?;
    let seconds = started.elapsed().as_secs_f64();
    let equal = compared(demo, &demo.place.tree(), &below(&opened, &demo.place.tree())?).await?;
    let (what, worker) = ("files opened by hand".to_owned(), "none".to_owned());
    demo.rows.push(Row { what, seconds, equal, worker, ..Row::default() });
    Ok(())
}

async fn restore(
    demo: &Demo<'_>,
    (backup, destination): (&Value, i64),
    to: &Path,
    paths: Value,
) -> Result<(Value, f64)> {
    let id = backup["id"].as_i64().context("a backup without an id")?;
    let request = json!({
        "target": {"remote_server_id": demo.server, "path": to}, "paths": paths, "layout": "keep_path",
        "existing": "refuse", "restore_owners": demo.is_root, "copy_id": copy_at(backup, destination)?,
    });
    let started = Instant::now();
    let done = steps::restore(demo.client, id, &request, |restore| demo.screen.progress(restore)).await?;
    Ok((done, started.elapsed().as_secs_f64()))
}

/// Fails on any difference; otherwise what the table says.
async fn compared(demo: &Demo<'_>, expected: &Path, actual: &Path) -> Result<String> {
    demo.screen.step("Comparing every entry: content, kind, mode, owner, time, links, attributes");
    let options = CompareOptions { owners: demo.is_root };
    let (expected, actual) = (expected.to_owned(), actual.to_owned());
    let found: Comparison = tokio::task::spawn_blocking(move || compare(&expected, &actual, &options)).await??;
    if !found.is_equal() {
        bail!("what came back is not what was there: {found}");
    }
    Ok(format!("yes ({} entries)", found.entries))
}

/// Where `path` lies below `root` with the layout `keep_path`.
fn below(root: &Path, path: &Path) -> Result<PathBuf> {
    Ok(root.join(path.strip_prefix("/").context("the path is not absolute")?))
}

//! What was backed up comes back: equal, whole or in part, through the API alone or with `age`, `zstd` and `tar` alone.

use crate::support::{assert_equal, is_root, listing, options, output};
use anyhow::{Context, Result, ensure};
use holdfast_testbed::compare::{Aspect, CompareOptions, compare};
use holdfast_testbed::site::{Site, below, open_folder};
use holdfast_testbed::terminal;
use holdfast_testbed::tree::{TreeSpec, generate};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PASSWORD: &str = "correct horse 'battery' $taple";
const MANUAL: &str = include_str!("../../../docs/opening-a-backup.md");

#[tokio::test]
async fn a_managed_backup_comes_back_and_opens_by_hand() -> Result<()> {
    comes_back("managed", json!({"encryption": {"mode": "managed"}})).await
}

#[tokio::test]
async fn a_backup_with_a_password_comes_back_and_opens_by_hand() -> Result<()> {
    let more = json!({"encryption": {"mode": "password"}, "encryption_password": PASSWORD});
    comes_back("password", more).await
}

#[tokio::test]
async fn a_backup_without_encryption_comes_back_and_opens_by_hand() -> Result<()> {
    comes_back("none", json!({"encryption": {"mode": "none"}})).await
}

async fn comes_back(mode: &str, more: Value) -> Result<()> {
    let site = Site::start(options()).await?;
    let tree = site.folder().join("customer/tree");
    generate(&tree, &TreeSpec { fifo: true, ..TreeSpec::small(11, is_root()) })?;
    let task = site.task(&[&tree], more).await?;
    let backup = site.back_up(task).await?;
    assert_eq!(backup["encryption_mode"], mode);
    assert_eq!(backup["copies"][0]["verified"], json!(true), "{backup:#}");

    let to = site.folder().join("restored");
    site.restore_well(&backup, &to, json!({})).await?;
    assert_equal(&tree, &below(&to, &tree))?;

    let by_hand = site.folder().join("by-hand");
    fs::create_dir(&by_hand)?;
    let object = by_hand.join(if mode == "none" { "backup.tar.zst" } else { "backup.tar.zst.age" });
    site.download(&backup, &object).await?;
    let sum = output(Command::new("sha256sum").arg(&object))?;
    assert_eq!(sum.split(' ').next(), backup["streams"][0]["stored_sha256"].as_str(), "the download is the object");
    if mode == "managed" {
        let kit = site.product.admin(&["recovery-kit", "--team", "1"]).await?;
        let identity =
            kit.lines().find(|line| line.starts_with("AGE-SECRET-KEY-1")).context("no identity in the kit")?;
        fs::write(by_hand.join("identity.txt"), identity)?;
    }
    let plain = fenced(mode)?;
    open_by_hand(mode, &plain, &by_hand).await?;
    let opened = below(&by_hand.join("restored"), &tree);
    let found = compare(&tree, &opened, &CompareOptions { owners: is_root() })?;
    // Attributes need the flags that the manual names after the commands.
    let others = found.counts.keys().filter(|aspect| **aspect != Aspect::Attributes).count();
    ensure!(others == 0, "opened by hand: {found}");
    if is_root() {
        fs::remove_dir_all(by_hand.join("restored"))?;
        open_by_hand(mode, &plain.replace("tar --extract", &format!("tar --extract {}", root_flags()?)), &by_hand)
            .await?;
        assert_equal(&tree, &opened)?;
    }
    site.product.stop().await
}

/// The commands of the manual's block `name`, as they stand there.
fn fenced(name: &str) -> Result<String> {
    let (_, rest) = MANUAL.split_once(&format!("```sh {name}\n")).with_context(|| format!("no block {name}"))?;
    Ok(rest.split_once("```").context("a block without an end")?.0.to_owned())
}

/// The flags that the manual gives root.
fn root_flags() -> Result<&'static str> {
    MANUAL.split('`').find(|text| text.starts_with("--xattrs ")).context("no flags for root in the manual")
}

async fn open_by_hand(mode: &str, commands: &str, folder: &Path) -> Result<()> {
    if mode == "password" {
        return terminal::run(commands, folder, "passphrase", PASSWORD).await.map(drop);
    }
    let mut shell = Command::new("bash");
    shell.args(["-e", "-o", "pipefail", "-c", commands]).current_dir(folder).stdin(Stdio::null());
    output(&mut shell).map(drop)
}

#[tokio::test]
async fn parts_of_a_backup_come_back_where_they_are_wanted() -> Result<()> {
    let site = Site::start(options()).await?;
    let customer = site.folder().join("customer");
    let (www, etc) = (customer.join("www"), customer.join("etc"));
    plant(&www, &["index.html", "img/a.png", "img/b.png", "cache/x", "logs/today.log", "cache2/y", "a.log.txt"])?;
    plant(&etc, &["app.conf", "cache/z", "logs/old.log", "keep/cache"])?;
    let excludes = json!(["*.log", www.join("cache"), "keep/"]);
    let task = site.task(&[&www, &etc], json!({"source": {"excludes": excludes}})).await?;
    let backup = site.back_up(task).await?;
    let to = |name: &str| site.folder().join(name);

    site.restore_well(&backup, &to("whole"), json!({})).await?;
    let www_kept = ["a.log.txt", "cache2", "cache2/y", "img", "img/a.png", "img/b.png", "index.html", "logs"];
    assert_eq!(listing(&below(&to("whole"), &www))?, www_kept);
    assert_eq!(listing(&below(&to("whole"), &etc))?, ["app.conf", "cache", "cache/z", "logs"]);

    let some = json!({"paths": [www.join("img"), etc.join("app.conf")]});
    site.restore_well(&backup, &to("some"), some).await?;
    assert_eq!(listing(&below(&to("some"), &www))?, ["img", "img/a.png", "img/b.png"]);
    assert_equal(&www.join("img"), &below(&to("some"), &www.join("img")))?;
    assert_eq!(listing(&below(&to("some"), &etc))?, ["app.conf"]);

    let flat = json!({"paths": [www.join("img")], "layout": "contents_only"});
    site.restore_well(&backup, &to("flat"), flat).await?;
    assert_eq!(listing(&to("flat"))?, ["a.png", "b.png"]);

    // Two top paths that hold the same name cannot lie in one folder: refused, and nothing is there.
    let both = site.restore(&backup, &to("both"), json!({"layout": "contents_only"})).await?;
    ensure!(both["status"] == "failed" && !to("both").exists(), "{both:#}");

    let missing = site.restore(&backup, &to("missing"), json!({"paths": [www.join("nowhere")]})).await?;
    assert_eq!(missing["error_code"], "path_not_in_backup", "{missing:#}");
    ensure!(!to("missing").exists(), "a failed restore made its target");
    let task = site.task(&[&customer.join("nowhere")], json!({})).await?;
    let run = site.run(task).await?;
    assert_eq!(run["error_code"], "missing_path", "{run:#}");
    site.product.stop().await
}

#[tokio::test]
async fn what_exists_is_left_alone_unless_told_and_confirmed() -> Result<()> {
    let site = Site::start(options()).await?;
    let tree = site.folder().join("customer/www");
    plant(&tree, &["a", "sub/b"])?;
    let task = site.task(&[&tree], json!({})).await?;
    let backup = site.back_up(task).await?;
    let to = open_folder(site.folder(), "target")?;
    let flat = |existing: &str| json!({"layout": "contents_only", "existing": existing});
    let contents = |name: &str| Ok::<_, anyhow::Error>(fs::read_to_string(to.join(name))?);

    plant(&to, &["own"])?;
    fs::write(to.join("a"), "mine")?;
    let refused = site.restore(&backup, &to, flat("refuse")).await?;
    assert_eq!(refused["error_code"], "target_exists", "{refused:#}");
    assert_eq!(listing(&to)?, ["a", "own"], "a refused restore leaves everything as it was");
    assert_eq!(contents("a")?, "mine");

    site.restore_well(&backup, &to, flat("skip")).await?;
    assert_eq!((contents("a")?, contents("sub/b")?), ("mine".to_owned(), "sub/b".to_owned()));

    let id = backup["id"].as_i64().context("an id")?;
    let mut request = json!({"target": {"remote_server_id": site.server, "path": to}, "layout": "contents_only", "existing": "overwrite"});
    let path = format!("backups/{id}/restore");
    let answer = site.client.raw(reqwest::Method::POST, &path, Some(&request)).await?;
    assert_eq!((answer.status, answer.body["errors"]["confirm"].is_array()), (422, true), "{answer:?}");
    assert_eq!(contents("a")?, "mine");
    request["confirm"] = json!(format!("127.0.0.1:{}", to.display()));
    let confirm = json!({"layout": "contents_only", "existing": "overwrite", "confirm": request["confirm"]});
    site.restore_well(&backup, &to, confirm).await?;
    assert_eq!(contents("a")?, "a");
    assert_eq!(listing(&to)?, ["a", "own", "sub", "sub/b"], "what is not in the backup stays");

    let dry: PathBuf = site.folder().join("dry");
    site.restore_well(&backup, &dry, json!({"dry_run": true})).await?;
    ensure!(!dry.exists(), "a dry run wrote to its target");
    site.product.stop().await
}

/// Files below `root` whose content is their name.
fn plant(root: &Path, names: &[&str]) -> Result<()> {
    for name in names {
        let path = root.join(name);
        fs::create_dir_all(path.parent().context("a parent")?)?;
        fs::write(path, name)?;
    }
    Ok(())
}

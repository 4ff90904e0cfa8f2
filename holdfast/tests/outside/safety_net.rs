//! The product's own safety net: with one file, and the identity that opens it, a new machine is the old one. And before
//! a migration changes what is there, a copy of it is kept.

use crate::support::{BINARY, assert_equal, is_root, options, output};
use anyhow::{Context, Result, ensure};
use holdfast_migration::Migrator;
use holdfast_testbed::client::ApiClient;
use holdfast_testbed::postgres::Database;
use holdfast_testbed::product::{Product, ProductOptions, USER_EMAIL};
use holdfast_testbed::site::{Site, below, product_options};
use holdfast_testbed::steps;
use holdfast_testbed::tree::{TreeSpec, generate};
use sea_orm::SqlxPostgresConnector;
use sea_orm_migration::MigratorTrait;
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

#[tokio::test]
async fn after_the_loss_of_the_data_folder_one_file_brings_everything_back() -> Result<()> {
    // The backups lie on a disk of their own; the data folder is what is lost.
    let store = tempfile::tempdir()?;
    let root = store.path().display().to_string();
    let site = Site::start(options().set("HOLDFAST__DESTINATIONS__LOCAL_ROOT", root)).await?;
    let tree = site.folder().join("customer/tree");
    generate(&tree, &TreeSpec::small(5, is_root()))?;
    let task = site.task(&[&tree], json!({})).await?;
    let secret = json!({"encryption": {"mode": "password"}, "encryption_password": "a password of the task"});
    let locked = site.task(&[&tree], secret).await?;
    let (old, old_locked) = (site.back_up(task).await?, site.back_up(locked).await?);
    let token = site.product.admin(&["create-token", "--email", USER_EMAIL, "--name", "t", "--abilities", "*"]).await?;

    let (copy, identity) = (site.folder().join("copy.age"), site.folder().join("identity.txt"));
    let generated = Command::new("age-keygen").arg("-o").arg(&identity).stderr(Stdio::piped()).output()?;
    let recipient = String::from_utf8(generated.stderr)?.trim().rsplit(' ').next().context("no public key")?.to_owned();
    let to = copy.to_str().context("text")?;
    site.product.admin(&["backup", "--to", to, "--recipient", &recipient]).await?;
    assert_eq!(fs::metadata(&copy)?.permissions().mode() & 0o777, 0o600);

    let Site { product, sshd, server, folder, .. } = site;
    let old_options = product.options().clone();
    product.stop().await?;
    fs::remove_dir_all(&old_options.data_dir)?;
    let new = ProductOptions { data_dir: folder.path().join("new-machine"), ..old_options };
    let mut restore = Command::new(BINARY);
    restore.args(["admin", "restore", "--from"]).arg(&copy).arg("--identity").arg(&identity);
    restore.arg("--data-dir").arg(&new.data_dir).envs(new.settings.iter().cloned());
    output(&mut restore)?;

    let product = Product::start(new).await?;
    let client = ApiClient::new(product.url(), Some(token.trim().to_owned()))?;
    ensure!(!fs::read_to_string(product.log())?.contains("/setup?token="), "a user is there: no set-up link");
    for (number, backup) in [old, old_locked].iter().enumerate() {
        let to = folder.path().join(format!("restored-{number}"));
        let request = json!({"target": {"remote_server_id": server, "path": to}, "restore_owners": is_root()});
        steps::restore(&client, backup["id"].as_i64().context("an id")?, &request, |_| ()).await?;
        assert_equal(&tree, &below(&to, &tree))?;
    }
    let run = steps::back_up(&client, task, Duration::from_millis(50), |_| ()).await?;
    let backup = steps::backup_of(&client, &run).await?;
    assert_eq!(backup["copies"][0]["verified"], json!(true));
    product.stop().await?;
    drop(sshd);
    Ok(())
}

#[tokio::test]
async fn a_copy_is_kept_before_a_migration() -> Result<()> {
    let database = Database::empty().await?;
    let pool = database.owner_pool().await?;
    let version_before = u32::try_from(Migrator::migrations().len() - 1)?;
    Migrator::up(&SqlxPostgresConnector::from_sqlx_postgres_pool(pool.clone()), Some(version_before)).await?;
    let person = "INSERT INTO users (name, email, password_hash, timezone) VALUES ('Ann', $1, '-', 'UTC')";
    sqlx::query(person).bind(USER_EMAIL).execute(&pool).await?;

    let folder = tempfile::tempdir()?;
    let settings = options().set("DATABASE_URL", database.owner_url());
    let product = Product::start(product_options(&settings, folder.path().join("data"))).await?;
    let applied: i64 = sqlx::query_scalar("SELECT count(*) FROM seaql_migrations").fetch_one(&pool).await?;
    assert_eq!(applied, i64::from(version_before) + 1, "the last migration was not made");
    let copies = product.data_dir().join("copies");
    let kept: Vec<_> = fs::read_dir(&copies)?.collect::<std::io::Result<_>>()?;
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(kept[0].metadata()?.permissions().mode() & 0o777, 0o600);
    let content = output(Command::new("zstd").args(["--decompress", "--stdout"]).arg(kept[0].path()))?;
    ensure!(content.contains(USER_EMAIL), "the copy does not hold the user");
    ensure!(content.lines().last().is_some_and(|line| line.contains("end of the copy")), "the copy has no end");
    let kek = fs::read_to_string(product.data_dir().join("kek"))?;
    ensure!(!content.contains(kek.trim()), "a copy that is not encrypted holds the key");
    product.stop().await?;
    Ok(())
}

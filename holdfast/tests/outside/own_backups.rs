//! The product's own database, copied over HTTP while it is being written, comes back on another machine; and only who
//! runs the installation may ask for it.

use crate::support::{BINARY, files, options, output};
use anyhow::{Context, Result, ensure};
use holdfast_testbed::client::ApiClient;
use holdfast_testbed::garage::Garage;
use holdfast_testbed::product::{Product, ProductOptions};
use holdfast_testbed::site::Site;
use holdfast_testbed::steps;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(60);

/// A new key of the operator's, as file and as recipient.
fn identity(folder: &Path) -> Result<(String, String)> {
    let file = folder.join("operators-key").to_str().context("path")?.to_owned();
    output(Command::new("age-keygen").args(["-o", &file]))?;
    Ok((file.clone(), output(Command::new("age-keygen").args(["-y", &file]))?.trim().to_owned()))
}

async fn ended(client: &ApiClient, id: &Value) -> Result<Value> {
    let start = Instant::now();
    loop {
        let row = client.get(&format!("system/backups/{id}")).await?["data"].take();
        if row["completed_at"].is_string() {
            return Ok(row);
        }
        ensure!(start.elapsed() < LIMIT, "it does not end: {row:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Writes until it is told to stop; the last tag that was accepted.
async fn write(client: ApiClient, mut stop: tokio::sync::oneshot::Receiver<()>) -> Result<u64> {
    let mut written = 0;
    while stop.try_recv().is_err() {
        written += 1;
        let label = format!("written {written}");
        client.post("backup-destinations", &json!({"label": label, "type": "local"})).await?;
    }
    Ok(written)
}

async fn made(site: &Site, destination: i64, recipient: &str) -> Result<Value> {
    let wanted = json!({"backup_destination_id": destination, "recipients": [recipient]});
    let id = site.operator().post("system/backups", &wanted).await?["data"]["id"].take();
    let row = ended(&site.operator(), &id).await?;
    ensure!(row["status"] == "succeeded", "{row:#}");
    Ok(row)
}

#[tokio::test]
async fn a_copy_made_under_writes_becomes_a_new_installation() -> Result<()> {
    let site = Site::start(options()).await?;
    let (key, recipient) = identity(site.folder())?;
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let writer = tokio::spawn(write(site.client.clone(), stopped));
    let row = made(&site, site.destination, &recipient).await?;
    ensure!(stop.send(()).is_ok(), "the writer ended by itself");
    ensure!(writer.await?? > 0, "nothing was written meanwhile");

    let file = site.folder().join("own.age");
    site.operator().download(&format!("system/backups/{}/download", row["id"]), &file).await?;
    let bytes = std::fs::read(&file)?;
    assert_eq!(row["size_bytes"], json!(bytes.len()));
    assert_eq!(row["sha256"], json!(hex::encode(Sha256::digest(&bytes))));
    ensure!(bytes.starts_with(b"age-encryption.org/v1"), "it is not encrypted");

    let data_dir = site.folder().join("new");
    let restore = ["admin", "restore", "--identity", &key, "--from"];
    output(Command::new(BINARY).args(restore).arg(&file).arg("--data-dir").arg(&data_dir))?;
    let options = ProductOptions { data_dir, ..site.product.options().clone() };
    let product = Product::start(options).await?;
    // The token of the old installation is one of the new one.
    let client = site.client.at(product.url());
    let (new, old) = (client.get("user").await?, site.client.get("user").await?);
    assert_eq!(new["data"]["personal_info"], old["data"]["personal_info"]);
    let destinations = client.get("backup-destinations?per_page=100").await?;
    let old = site.client.get("backup-destinations?per_page=100").await?;
    let (some, all) = (destinations["meta"]["total"].as_u64(), old["meta"]["total"].as_u64());
    ensure!(some >= Some(1) && some <= all, "{some:?} of {all:?}");
    // Of itself it knows nothing: it was not finished when it was written.
    assert_eq!(client.at(product.operator_url()).get("system/backups").await?["meta"]["total"], 0);
    // The audit log came along whole, and goes on.
    let before = client.get("audit-events/verify").await?["data"].take();
    ensure!(before["ok"] == true && before["links"].as_u64() > Some(1), "{before:#}");
    client.post("tags", &json!({"label": "after"})).await?;
    let after = client.get("audit-events/verify").await?["data"].take();
    ensure!(after["ok"] == true && after["links"].as_u64() > before["links"].as_u64(), "{after:#}");
    product.stop().await?;
    site.product.stop().await
}

#[tokio::test]
async fn a_copy_in_a_bucket_is_off_the_machine_and_comes_back_and_goes() -> Result<()> {
    let (site, garage) = (Site::start(options()).await?, Garage::start().await?);
    let (key, recipient) = identity(site.folder())?;
    let bucket = steps::create_s3_destination(&site.client, &garage, "bucket").await?;
    let row = made(&site, bucket, &recipient).await?;
    let name = row["object_name"].as_str().context("a name")?;
    ensure!(!files(&site.local_root())?.iter().any(|path| path.ends_with(name)), "it lies on this machine too");
    let file = site.folder().join("own.age");
    site.operator().download(&format!("system/backups/{}/download", row["id"]), &file).await?;
    let open = "age -d -i \"$1\" \"$2\" | zstd -d";
    let text = output(Command::new("sh").args(["-c", open, "sh", &key]).arg(&file))?;
    ensure!(text.ends_with("-- end of the copy\n") && text.contains("demo@example.org"), "it is not whole");
    site.operator().delete(&format!("system/backups/{}", row["id"])).await?;
    assert_eq!(site.operator().get("system/backups").await?["meta"]["total"], 0);
    site.product.stop().await
}

#[tokio::test]
async fn a_copy_is_removed_when_it_is_asked_for_and_is_nobody_elses() -> Result<()> {
    let site = Site::start(options()).await?;
    let (_, recipient) = identity(site.folder())?;
    let row = made(&site, site.destination, &recipient).await?;
    let name = row["object_name"].as_str().context("a name")?.to_owned();
    let is_there = |root: &Path| -> Result<bool> { Ok(files(root)?.iter().any(|path| path.ends_with(&name))) };
    ensure!(is_there(&site.local_root())?, "it is not where it is said to be");

    // Everything but the operator's right.
    let mail = "other@example.org";
    let folder = site.folder().join("password");
    std::fs::write(&folder, "no secret password\n")?;
    let create = "exec \"$1\" admin create-user --email \"$2\" --name Other --timezone UTC --password-stdin --data-dir \"$3\" <\"$4\"";
    let data = site.product.data_dir();
    output(Command::new("sh").args(["-c", create, "sh", BINARY, mail]).arg(data).arg(&folder))?;
    let token = site.product.admin(&["create-token", "--email", mail, "--name", "t", "--abilities", "*"]).await?;
    let other = ApiClient::new(site.product.operator_url(), Some(token.trim().to_owned()))?;
    let path = format!("system/backups/{}", row["id"]);
    for (method, path) in [
        (Method::GET, "system/backups".to_owned()),
        (Method::GET, format!("{path}/download")),
        (Method::DELETE, path.clone()),
    ] {
        let refused = other.raw(method, &path, None).await?;
        assert_eq!((refused.status, &refused.body["code"]), (403, &json!("operators_only")), "{path}");
    }

    // The right alone is not enough: the public listener does not know the route.
    let public = site.client.raw(Method::DELETE, &path, None).await?;
    assert_eq!((public.status, &public.body["code"]), (404, &json!("no_such_route")));
    let http = reqwest::Client::builder().no_proxy().build()?;
    let metrics = http.get(format!("{}/metrics", site.product.operator_url())).send().await?.text().await?;
    ensure!(metrics.contains("holdfast_workers_alive 1\n"), "{metrics}");

    site.operator().delete(&path).await?;
    ensure!(!is_there(&site.local_root())?, "it is still there");
    assert_eq!(site.operator().raw(Method::GET, &path, None).await?.status, 404);
    site.product.stop().await
}

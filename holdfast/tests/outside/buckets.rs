//! A destination in a bucket is a destination like any other: backed up to, read back, restored from; and a bad one says
//! what is wrong before anything depends on it.

use crate::support::{assert_equal, is_root, options};
use anyhow::{Context, Result, ensure};
use holdfast_testbed::fake_s3::{FakeS3, Wrong};
use holdfast_testbed::garage::{ACCESS_KEY, BUCKET, Garage, REGION, SECRET_KEY};
use holdfast_testbed::site::{Site, below};
use holdfast_testbed::steps;
use holdfast_testbed::tree::{TreeSpec, generate};
use reqwest::Method;
use serde_json::{Value, json};

fn bucket(endpoint: &str) -> Value {
    json!({
        "label": "bucket", "type": "custom_s3", "s3_bucket_name": BUCKET, "custom_s3_endpoint": endpoint,
        "custom_s3_region": REGION, "path_style_endpoint": true, "s3_access_key": ACCESS_KEY,
        "s3_secret_key": SECRET_KEY,
    })
}

/// The steps of a check, and whether it went well.
async fn check(site: &Site, destination: &Value) -> Result<(bool, String)> {
    let made = site.client.post("backup-destinations", destination).await?;
    let id = made["data"]["id"].as_i64().context("no id")?;
    let check = site.client.post(&format!("backup-destinations/{id}/check"), &json!({})).await?;
    Ok((check["data"]["ok"] == json!(true), check["data"]["steps"].to_string()))
}

#[tokio::test]
async fn a_backup_in_a_bucket_comes_back_and_its_place_stays_its_place() -> Result<()> {
    let (site, garage) = (Site::start(options()).await?, Garage::start().await?);
    let id = steps::create_s3_destination(&site.client, &garage, "bucket").await?;
    let tree = site.folder().join("customer/tree");
    generate(&tree, &TreeSpec::small(23, is_root()))?;
    ensure!(write_noise(&tree.join("noise"), 20)?, "no file of noise");
    let task = site.task(&[&tree], json!({"backup_destination_id": id, "store_path": "week ly/a"})).await?;
    let backup = site.back_up(task).await?;
    assert_eq!(backup["copies"][0]["verified"], json!(true), "{backup:#}");
    let to = site.folder().join("restored");
    site.restore_well(&backup, &to, json!({})).await?;
    assert_equal(&tree, &below(&to, &tree))?;
    let object = site.folder().join("stored");
    let bytes = site.download(&backup, &object).await?;
    ensure!(bytes > 16 << 20, "an object of several parts");

    let usage = site.client.get(&format!("backup-destinations/{id}/usage")).await?;
    let stored = usage["data"]["stored_bytes"].as_u64().context("no stored bytes")?;
    ensure!(usage["data"]["backups"] == json!(1) && stored >= bytes, "{usage:#}");
    ensure!(usage["data"]["available_bytes"].is_null(), "S3 does not say: {usage:#}");
    let local = site.client.get(&format!("backup-destinations/{}/usage", site.destination)).await?;
    ensure!(local["data"]["available_bytes"].as_u64() > Some(0), "{local:#}");

    // The place cannot be exchanged under the backups; the keys can.
    let path = format!("backup-destinations/{id}");
    for change in [json!({"s3_bucket_name": "other"}), json!({"custom_s3_endpoint": "https://other.example"})] {
        let mut request = json!({"s3_access_key": ACCESS_KEY, "s3_secret_key": SECRET_KEY});
        request.as_object_mut().context("an object")?.extend(change.as_object().cloned().context("an object")?);
        let answer = site.client.raw(Method::PUT, &path, Some(&request)).await?;
        assert_eq!((answer.status, &answer.body["code"]), (409, &json!("has_backups")), "{:#}", answer.body);
    }
    let keys = json!({"s3_access_key": ACCESS_KEY, "s3_secret_key": SECRET_KEY});
    assert_eq!(site.client.raw(Method::PUT, &path, Some(&keys)).await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_bad_bucket_is_named_by_its_check_and_by_the_run() -> Result<()> {
    let (site, garage) = (Site::start(options()).await?, Garage::start().await?);
    let with = |field: &str, value: &str| {
        let mut destination = bucket(&garage.endpoint());
        destination[field] = json!(value);
        destination
    };
    for (destination, words) in [
        (with("s3_secret_key", "wrong"), "AccessDenied"),
        (with("s3_bucket_name", "nowhere"), "NoSuchBucket"),
        (with("custom_s3_region", "mars"), "region"),
        (with("custom_s3_endpoint", "http://127.0.0.1:9"), "no connection"),
        (with("custom_s3_endpoint", "http://169.254.169.254"), "may not be reached"),
        (with("custom_s3_endpoint", "http://no-such-host.invalid"), "no address"),
    ] {
        let (ok, steps) = check(&site, &destination).await?;
        ensure!(!ok && steps.contains(words), "{words}: {steps}");
        ensure!(!steps.contains(SECRET_KEY), "the secret is shown: {steps}");
    }
    let storm = FakeS3::start(|_| Some(Wrong::Refuse(403, "ExpiredToken", Vec::new()))).await?;
    let made = site.client.post("backup-destinations", &bucket(&storm.endpoint())).await?;
    let task = site.task(&[site.folder()], json!({"backup_destination_id": made["data"]["id"]})).await?;
    let run = site.run(task).await?;
    assert_eq!((&run["status"], &run["error_code"]), (&json!("failed"), &json!("destination_refused")), "{run:#}");
    ensure!(storm.unfinished().is_empty() && storm.objects().is_empty());
    Ok(())
}

/// A file of `mib` random MiB: what does not shrink on its way.
fn write_noise(path: &std::path::Path, mib: u32) -> Result<bool> {
    let mut dd = std::process::Command::new("dd");
    dd.arg("if=/dev/urandom").arg(format!("of={}", path.display())).args(["bs=1M", "status=none"]);
    Ok(dd.arg(format!("count={mib}")).status()?.success())
}

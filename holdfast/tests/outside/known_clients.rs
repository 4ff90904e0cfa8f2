//! Clients that others wrote for page 003's product do here what they can do there, unchanged. Each driver sends what its
//! client sends, header by header, in its order, and reads the answers as strictly as it does. Facts only: no line of a
//! client stands here. What a client cannot do even there (its library reads tags from a key that never was) is left out.

mod launcher;
mod library;
mod mobile;
mod wire;

use crate::support::options;
use anyhow::{Context, Result};
use holdfast_testbed::product::USER_EMAIL;
use holdfast_testbed::site::{Site, open_folder};
use std::fs;
use wire::Wire;

/// A site with something to back up; the folder's path.
async fn site() -> Result<(Site, String)> {
    let site = Site::start(options()).await?;
    let tree = open_folder(site.folder(), "tree")?;
    fs::write(tree.join("file"), "content")?;
    let path = tree.to_str().context("a path")?.to_owned();
    Ok((site, path))
}

/// A token as it is shown to people.
async fn token(site: &Site) -> Result<String> {
    let words = ["create-token", "--email", USER_EMAIL, "--name", "client", "--abilities", "*"];
    Ok(site.product.admin(&words).await?.trim().to_owned())
}

#[tokio::test]
async fn the_library_does_everything_it_can() -> Result<()> {
    let (site, path) = site().await?;
    let library = library::Library::new(Wire::new(site.product.url())?, token(&site).await?);
    library.reads_its_user().await?;
    library.manages_servers().await?;
    library.manages_destinations().await?;
    library.manages_streams().await?;
    library.manages_tasks((site.server, site.destination), &path).await?;
    library.meets_errors().await?;
    site.product.stop().await
}

#[tokio::test]
async fn the_mobile_app_does_everything_it_can() -> Result<()> {
    let (site, path) = site().await?;
    let task = site.task(&[path.as_ref()], serde_json::json!({"label": "Nightly"})).await?;
    let app = mobile::App::log_in(Wire::new(site.product.url())?).await?;
    app.reads_its_user().await?;
    app.runs_a_task(task).await?;
    app.reads_logs(task).await?;
    app.manages_destinations().await?;
    app.manages_servers().await?;
    app.manages_streams().await?;
    app.manages_tags().await?;
    app.meets_errors().await?;
    site.product.stop().await
}

#[tokio::test]
async fn the_launcher_extension_does_everything_it_can() -> Result<()> {
    let (site, path) = site().await?;
    // The product's page shows the part behind the bar alone.
    let token = token(&site).await?;
    let (_, secret) = token.split_once('|').context("a token without an id")?;
    let launcher = launcher::Launcher::new(Wire::new(site.product.url())?, secret);
    launcher.adds_a_server().await?;
    launcher.adds_destinations().await?;
    launcher.adds_a_task((site.server, site.destination), &path).await?;
    launcher.meets_errors().await?;
    site.product.stop().await
}

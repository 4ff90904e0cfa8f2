//! The server check.

use crate::support::Bench;
use holdfast_domain::FailureCode;
use holdfast_sources::{files, probe};

#[tokio::test]
async fn a_server_says_what_it_is_and_has() {
    let bench = Bench::new();
    let mut session = bench.session().await;
    let found = probe::check(&mut session).await.unwrap();
    assert!(found.system.starts_with("Linux ") && !found.is_root && found.username == bench.login.name(), "{found:?}");
    assert!(found.tools["tar"].contains("GNU tar") && found.missing.is_empty(), "{found:?}");
    // The same connection then reads.
    let root = bench.tree("tree", &[("a", "1")]);
    files::open(session, &crate::support::spec(&[&root], &[])).await.unwrap();
}

#[tokio::test]
async fn missing_tools_are_named() {
    let bench = Bench::with_tools(&[("base64", None), ("uname", None), ("id", None), ("tr", None)]);
    let found = probe::check(&mut bench.session().await).await.unwrap();
    assert_eq!(found.missing, ["tar"]);
    let bench = Bench::with_tools(&[("uname", None)]);
    assert_eq!(probe::check(&mut bench.session().await).await.unwrap_err().code, FailureCode::MissingTool);
}

//! Servers that are not there, not who they were, or do not let us in: what the user reads, and that nothing was offered.

use crate::stage::Stage;
use anyhow::{Result, ensure};
use holdfast_testbed::fault_proxy::{FaultProxy, LinkPlan};
use holdfast_testbed::product::free_port;
use holdfast_testbed::sshd::key_pair;
use serde_json::{Value, json};

/// The end of a run against a server described by `more`.
async fn outcome(stage: &Stage, more: Value) -> Result<Value> {
    let server = stage.server_with(more).await?;
    let run = stage.start_run(server).await?;
    stage.ended(&run).await
}

/// Another port of the same server, which the API takes for another server.
async fn another_port(stage: &Stage) -> Result<FaultProxy> {
    FaultProxy::start(([127, 0, 0, 1], stage.sshd.port()).into(), LinkPlan::default()).await
}

fn check(run: &Value, code: &str, attempts: i64, message: &str) -> Result<()> {
    ensure!(run["status"] == "failed" && run["error_code"] == code, "not {code}: {run:#}");
    ensure!(run["attempt"] == attempts && run["backup_id"].is_null(), "{run:#}");
    ensure!(run["error_message"].as_str().is_some_and(|said| said.contains(message)), "no {message:?} in {run:#}");
    Ok(())
}

#[tokio::test]
async fn a_server_that_cannot_be_trusted_or_reached_is_named_with_what_to_do() -> Result<()> {
    let mut stage = Stage::start().await?;
    let _worker = stage.worker()?;
    let host_key = stage.sshd.host_key()?;

    let gone = outcome(&stage, json!({"ip_address": "no-such-host.invalid", "host_key": host_key})).await?;
    check(&gone, "server_unknown", 3, "Check the server's host name.")?;
    let refused = outcome(&stage, json!({"port": free_port()?, "host_key": host_key})).await?;
    check(&refused, "connect_failed", 3, "While connecting: ")?;
    check(&refused, "connect_failed", 3, "Check that the server is up and that its SSH port is reachable")?;

    let before = stage.sshd.auth_attempts();
    let port = another_port(&stage).await?;
    let unconfirmed = outcome(&stage, json!({"port": port.port()})).await?;
    check(&unconfirmed, "host_key_unconfirmed", 1, "While checking the host key: ")?;
    check(&unconfirmed, "host_key_unconfirmed", 1, "confirm it with `POST /api/remote-servers/{id}/host-key/accept`")?;
    let (_, other) = key_pair()?;
    let other = other.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let port = another_port(&stage).await?;
    let changed = outcome(&stage, json!({"port": port.port(), "host_key": other})).await?;
    check(&changed, "host_key_changed", 1, "While checking the host key: ")?;
    check(&changed, "host_key_changed", 1, "Nothing was sent.")?;
    ensure!(stage.sshd.auth_attempts() == before, "somebody logged in before the key was known");

    // A key that changes later, between two runs.
    let task = stage.task(stage.server, &[&stage.tree]).await?;
    let run = stage.start_run_of(task).await?;
    ensure!(stage.ended(&run).await?["status"] == "succeeded", "the key is right");
    stage.sshd.swap_host_key()?;
    let before = stage.sshd.auth_attempts();
    let run = stage.start_run_of(task).await?;
    check(&stage.ended(&run).await?, "host_key_changed", 1, "otherwise somebody may be in between.")?;
    ensure!(stage.sshd.auth_attempts() == before, "somebody logged in with a changed key");

    let (_, stranger) = key_pair()?;
    let port = another_port(&stage).await?;
    let server = stage.server(port.port()).await?;
    let task = stage.task(server, &[&stage.tree]).await?;
    stage.sshd.authorize(stage.login.name(), &stranger)?;
    let run = stage.start_run_of(task).await?;
    let locked_out = stage.ended(&run).await?;
    check(&locked_out, "authentication_failed", 1, "While logging in: ")?;
    check(
        &locked_out,
        "authentication_failed",
        1,
        "Put the line of `GET /api/ssh-key` into the user's authorized_keys",
    )?;
    stage.assert_clean().await
}

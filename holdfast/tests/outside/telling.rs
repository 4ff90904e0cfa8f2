//! What happens to a task reaches people: from a run to a receiver that checks what its service checks, and past quiet mode
//! when somebody asks.

use crate::support::options;
use anyhow::{Context, Result, ensure};
use holdfast_testbed::receivers::webhook::WebhookReceiver;
use holdfast_testbed::receivers::{Receiver, discord};
use holdfast_testbed::site::Site;
use reqwest::Method;
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

const SIGNING: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BASE: &str = "https://backup.example.com";
const LABEL: &str = "@everyone <b>*Nightly*</b> [x](http://evil)";
const POLL: Duration = Duration::from_millis(50);
/// For a message to be on its way.
const LIMIT: Duration = Duration::from_secs(30);

/// The next message to Discord.
async fn embed(discord: &Receiver) -> Result<Value> {
    let started = Instant::now();
    loop {
        match discord.message() {
            Ok(message) => return Ok(message["embeds"][0].clone()),
            Err(error) if started.elapsed() > LIMIT || !error.to_string().contains("no message") => return Err(error),
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}

/// The next messages to the webhook, by their types: the order of two that are on their way at once is nobody's promise.
async fn hooked<const N: usize>(hook: &mut WebhookReceiver, types: [&str; N]) -> Result<[Value; N]> {
    let mut got = Vec::new();
    for _ in 0..N {
        got.push(hook.message().await?);
    }
    got.sort_by_key(|message| types.iter().position(|kind| message["type"] == *kind));
    for (message, kind) in got.iter().zip(types) {
        ensure!(message["type"] == kind, "{kind}: {message:#}");
    }
    <[Value; N]>::try_from(got).ok().context("as many as asked for")
}

async fn site(hook: &WebhookReceiver, discord: &Receiver) -> Result<(Site, Value)> {
    let options = options()
        .set("HOLDFAST__NOTIFY__ALLOW_HTTP", "true")
        .set("HOLDFAST__NOTIFY__ALLOW_ANY_WEBHOOK_HOST", "true")
        .set("HOLDFAST__HTTP__PUBLIC_URL", BASE);
    let site = Site::start(options).await?;
    let all = json!({"label": "pager", "type": "webhook", "value": format!("{}/hook", hook.url()),
        "additional_value": SIGNING, "events": ["started", "success", "failure", "recovered"], "is_team_wide": true});
    site.client.post("notification-streams", &all).await?;
    let bad = json!({"label": "chat", "type": "discord_webhook", "value": format!("{}/api/webhooks/1/tok", discord.url()),
        "notifications": {"on_success": false, "on_failure": true}});
    let id = site.client.post("notification-streams", &bad).await?["data"]["id"].clone();
    Ok((site, id))
}

#[tokio::test]
async fn what_happens_to_a_task_reaches_those_who_chose_it() -> Result<()> {
    let mut hook = WebhookReceiver::start(&[SIGNING]).await?;
    let discord = Receiver::start(discord::judge("1", "tok")).await?;
    let (site, chat) = site(&hook, &discord).await?;
    let folder = site.folder().join("customer");
    let task = site.task(&[&folder], json!({"label": LABEL, "notification_streams": [chat]})).await?;

    // Nothing is there to read: both are told, each in its form.
    ensure!(site.run(task).await?["status"] == "failed");
    let [_, failure] = hooked(&mut hook, ["started", "failure"]).await?;
    let data = &failure["data"];
    ensure!(data["task"] == LABEL && data["state"] == "failed" && data["is_alarm"] == json!(true), "{failure:#}");
    ensure!(data["reason"].as_str().is_some_and(|reason| reason.contains("customer")), "{failure:#}");
    ensure!(data["link"] == format!("{BASE}/backup-tasks/{task}"), "{failure:#}");
    let shown = embed(&discord).await?;
    let text = shown["description"].as_str().context("no text")?;
    ensure!(text.contains("\\@everyone \\<b\\>\\*Nightly\\*\\</b\\> \\[x\\]\\(http"), "{shown:#}");

    // It works again: the webhook alone chose that.
    std::fs::create_dir(&folder)?;
    std::fs::write(folder.join("file"), "content")?;
    ensure!(site.run(task).await?["status"] == "succeeded");
    let [_, recovered] = hooked(&mut hook, ["started", "recovered"]).await?;
    ensure!(recovered["data"]["size_bytes"].as_u64().is_some_and(|size| size > 0), "{recovered:#}");
    quiet(&site, (task, &folder), &mut hook, &discord).await?;
    site.product.stop().await
}

/// Quiet mode holds back, shows what it held back, and lets through what is asked for.
async fn quiet(site: &Site, task: (i64, &Path), hook: &mut WebhookReceiver, discord: &Receiver) -> Result<()> {
    let until = (chrono::Utc::now() + chrono::TimeDelta::hours(1)).to_rfc3339();
    let set = site.client.call(Method::PUT, "notification-settings", Some(&json!({"quiet_until": until}))).await?;
    ensure!(set["data"]["quiet_until"].is_string(), "{set:#}");
    std::fs::remove_dir_all(task.1)?;
    ensure!(site.run(task.0).await?["status"] == "failed");
    let path = "deliveries?filter[state]=suppressed";
    let started = Instant::now();
    // `started` and `failure` to the webhook, `failure` to Discord.
    while site.client.get(path).await?["data"].as_array().map(Vec::len) != Some(3) {
        ensure!(started.elapsed() < LIMIT, "{:#}", site.client.get(path).await?);
        tokio::time::sleep(POLL).await;
    }
    ensure!(discord.message().is_err(), "it is quiet");
    let held = site.client.get(path).await?;
    let rows = held["data"].as_array().context("no list")?;
    let pager = &rows.iter().find(|row| row["event"] == "started").context("no start")?["notification_stream_id"];
    let failure = |row: &&Value| row["event"] == "failure" && row["notification_stream_id"] == *pager;
    let failure = rows.iter().find(failure).context("no failure")?;
    site.client.post(&format!("deliveries/{}/resend", failure["id"]), &json!({})).await?;
    let message = hook.message().await?;
    ensure!(message["data"]["id"] == failure["message_id"], "{message:#}");
    ensure!(discord.message().is_err(), "nobody asked for that one");
    Ok(())
}

//! The api's process ends in the middle of a request (security.md F33).

use crate::stage::{LIMIT, POLL, Stage};
use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const ROUNDS: u32 = 12;
/// A request that starts a run takes some milliseconds: the moments lie before it, within it and after it.
const WITHIN_MICROS: u64 = 20_000;
/// The api calls the outcome of such a request unknown after ten minutes. They pass here at once.
const TEN_MINUTES_LATER: &str = "UPDATE idempotency_keys SET created_at = created_at - interval '11 minutes'";

/// One request with a key; none where no answer came.
async fn ask(stage: &Stage, task: i64, key: &str) -> Option<(u16, Value)> {
    let url = format!("{}/api/backup-tasks/{task}/run", stage.url());
    let request = reqwest::Client::new().post(url).bearer_auth(stage.token()).header("Idempotency-Key", key);
    let answer = request.json(&json!({})).send().await.ok()?;
    let status = answer.status().as_u16();
    Some((status, answer.json().await.ok()?))
}

async fn runs_of(stage: &Stage, task: i64) -> Result<Vec<i64>> {
    let runs = sqlx::query_scalar("SELECT id FROM backup_runs WHERE backup_task_id = $1").bind(task);
    Ok(runs.fetch_all(&stage.pool).await?)
}

/// The client's way: the same request with the same key until the answer says how it is.
async fn until_told(stage: &Stage, task: i64, key: &str) -> Result<(u16, Value)> {
    let until = Instant::now() + LIMIT;
    loop {
        match ask(stage, task, key).await {
            Some((_, body)) if body["code"] == "idempotency_in_progress" => {
                sqlx::query(TEN_MINUTES_LATER).execute(&stage.pool).await?;
            }
            Some(told) => return Ok(told),
            None => {}
        }
        ensure!(Instant::now() < until, "the api does not tell");
        tokio::time::sleep(POLL).await;
    }
}

#[tokio::test]
async fn an_api_that_dies_while_a_run_is_asked_for_makes_one_run_or_none_and_says_which() -> Result<()> {
    let mut stage = Stage::start().await?;
    let _worker = stage.worker()?;
    for round in 0..ROUNDS {
        let task = stage.task(stage.server, &[&stage.tree]).await?;
        let key = format!("round-{round}");
        let moment = Duration::from_micros(rand::random::<u64>() % WITHIN_MICROS);
        let kill = async {
            tokio::time::sleep(moment).await;
            stage.api().signal(Signal::KILL)
        };
        let (first, killed) = tokio::join!(ask(&stage, task, &key), kill);
        killed?;
        stage.start_api().await?;
        let (status, body) = until_told(&stage, task, &key).await.with_context(|| format!("after {moment:?}"))?;
        let runs = runs_of(&stage, task).await?;
        let context = format!("after {moment:?}: {first:?}, then {status} {body}, runs {runs:?}");
        if status == 202 {
            let told = body["data"]["backup_run_id"].as_i64();
            ensure!(runs.len() == 1 && told == runs.first().copied(), "{context}");
        } else {
            ensure!(body["code"] == "idempotency_outcome_unknown" && runs.len() <= 1, "{context}");
        }
        ensure!(first.is_none_or(|(status, _)| status != 202) || runs.len() == 1, "accepted and lost: {context}");
        for run in runs {
            let ended = stage.ended(&format!("backup-runs/{run}")).await?;
            ensure!(ended["status"] == "succeeded", "{ended:#}");
        }
    }
    stage.assert_clean().await
}

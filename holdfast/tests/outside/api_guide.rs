//! The commands of docs/api.md, in its order, against `holdfast up`; the answers that it shows have their fields, and their
//! values but for texts with an ellipsis and numbers.

use crate::support::{BINARY, options};
use anyhow::{Context, Result, ensure};
use holdfast_testbed::client::ApiClient;
use holdfast_testbed::product::Product;
use holdfast_testbed::site::{open_folder, own_name, passable_folder, product_options};
use holdfast_testbed::sshd::Sshd;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

const GUIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/api.md");
/// What later commands use of earlier ones.
const KEPT: &str = "{ declare -p api token secret || true; declare -f call || true; } 2>/dev/null";

/// One command of the guide, and the answer that stands below it.
struct Step {
    command: String,
    answer: Option<Value>,
}

fn steps(guide: &str) -> Result<Vec<Step>> {
    let mut steps: Vec<Step> = Vec::new();
    // Every other piece stands between fences.
    for block in guide.split("\n```").skip(1).step_by(2) {
        let (kind, text) = block.split_once('\n').context("a fence without a line")?;
        match kind {
            "sh" => steps.push(Step { command: text.to_owned(), answer: None }),
            "json" => {
                let answer = serde_json::from_str(text).with_context(|| text.to_owned())?;
                steps.last_mut().context("an answer before any command")?.answer = Some(answer);
            }
            other => anyhow::bail!("a block of {other}: who checks it?"),
        }
    }
    Ok(steps)
}

/// Whether `seen` has what the guide shows.
fn check(seen: &Value, shown: &Value, place: &str) -> Result<()> {
    match (seen, shown) {
        (Value::Object(seen), Value::Object(shown)) => {
            for (key, value) in shown {
                let found = seen.get(key).with_context(|| format!("{place}/{key} is not there"))?;
                check(found, value, &format!("{place}/{key}"))?;
            }
        }
        (Value::Array(seen), Value::Array(shown)) => {
            ensure!(seen.is_empty() == shown.is_empty(), "{place}: {seen:?}");
            for (found, value) in seen.iter().zip(shown) {
                check(found, value, place)?;
            }
        }
        (Value::Number(_), Value::Number(_)) => {}
        (Value::String(seen), Value::String(shown)) => {
            let (begin, end) = shown.split_once('…').unwrap_or((shown, ""));
            let fits =
                if shown.contains('…') { seen.starts_with(begin) && seen.ends_with(end) } else { seen == shown };
            ensure!(fits, "{place}: {seen} and not {shown}");
        }
        _ => ensure!(seen == shown, "{place}: {seen} and not {shown}"),
    }
    Ok(())
}

fn run(command: &str, state: &Path) -> Result<String> {
    let state = state.to_str().context("a path")?;
    let script = format!("set -euo pipefail\n[ ! -e {state} ] || . {state}\n{command}\n{KEPT} > {state}\n");
    let folder = Path::new(BINARY).parent().context("no folder")?;
    let path = format!("{}:{}", folder.display(), std::env::var("PATH")?);
    let output = Command::new("bash").args(["-c", &script]).env("PATH", path).output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{command}\nended with {}: {said}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guide_s_commands_do_what_it_says() -> Result<()> {
    let folder = passable_folder("hf-guide-")?;
    let product = Product::start(product_options(&options(), folder.path().join("data"))).await?;
    let sshd = Sshd::start_with("")?;
    let tree = open_folder(folder.path(), "www")?;
    fs::write(tree.join("index.html"), "hello")?;
    let restored = folder.path().join("restored");
    let user = own_name()?;
    let here = |command: &str| {
        command
            .replace("/var/lib/holdfast", &product.data_dir().to_string_lossy())
            .replace("http://127.0.0.1:8080", product.url())
            .replace("192.168.1.10\",\"port\":22", &format!("127.0.0.1\",\"port\":{}", sshd.port()))
            .replace("\"username\":\"backup\"", &format!("\"username\":\"{user}\""))
            .replace("/var/www", &tree.to_string_lossy())
            .replace("/tmp/restored", &restored.to_string_lossy())
    };
    let state = folder.path().join("state");
    let steps = steps(&fs::read_to_string(GUIDE)?)?;
    ensure!(steps.len() > 10, "the guide was not read: {} commands", steps.len());
    for step in &steps {
        let printed = run(&here(&step.command), &state)?;
        if step.command.ends_with("GET ssh-key") {
            let_in(&product, &sshd, &user).await?;
        }
        let Some(shown) = &step.answer else { continue };
        let last = printed.trim_end().lines().last().unwrap_or_default();
        let seen: Value = serde_json::from_str(last).with_context(|| format!("{}: {printed}", step.command))?;
        check(&seen, shown, "").with_context(|| format!("{}: {seen}", step.command))?;
    }
    ensure!(fs::read_to_string(holdfast_testbed::site::below(&restored, &tree).join("index.html"))? == "hello");
    product.stop().await
}

/// What the reader does by hand: the team's key is let in.
async fn let_in(product: &Product, sshd: &Sshd, user: &str) -> Result<()> {
    let words = ["create-token", "--email", "you@example.com", "--name", "test", "--abilities", "*"];
    let token = product.admin(&words).await?.trim().to_owned();
    let keys = ApiClient::new(product.url(), Some(token))?.get("ssh-key").await?;
    sshd.authorize(user, keys["authorized_keys_line"].as_str().context("no key line")?)
}

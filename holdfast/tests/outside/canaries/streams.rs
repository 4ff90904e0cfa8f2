//! The secrets of notification streams. Their receiver repeats whatever it is sent in a refusal: no word of that may come
//! back either. E-mail addresses are no secrets: they stand in the mails that ask their owners.

use super::Sweep;
use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use holdfast_testbed::receivers::{Answer, Receiver, Refused};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// One that refuses with everything that it was sent.
pub async fn echo() -> Result<Receiver> {
    Receiver::start(|request| {
        let said = format!("{} {:?} {}", request.uri, request.headers, String::from_utf8_lossy(&request.body));
        let answer = Answer { status: 403, content_type: "text/plain", body: said };
        Err(Refused { why: request.uri.path().to_owned(), answer })
    })
    .await
}

impl Sweep {
    /// A stream of every type but e-mail, each with secrets of its own.
    fn streams_to_make(&mut self) -> Vec<Value> {
        let base = self.receiver.url().to_owned();
        let mut hook = |name| format!("{base}/{}", self.markers.fresh(name));
        let (discord, slack, teams) = (hook("Discord address"), hook("Slack address"), hook("Teams address"));
        let webhook = hook("webhook address");
        let signing = STANDARD.encode(self.markers.fresh("signing secret"));
        let bot = format!("123456:{}", self.markers.fresh("bot token"));
        let server = json!({"server_url": base});
        vec![
            json!({"type": "discord_webhook", "value": discord}),
            json!({"type": "slack_webhook", "value": slack}),
            json!({"type": "teams_webhook", "value": teams}),
            json!({"type": "pushover", "value": self.markers.fresh("Pushover token"),
                "additional_value": self.markers.fresh("Pushover user")}),
            json!({"type": "telegram", "value": "-1001", "additional_value": bot}),
            json!({"type": "ntfy", "value": self.markers.fresh("topic"),
                "additional_value": self.markers.fresh("access token"), "config": server}),
            json!({"type": "gotify", "value": self.markers.fresh("application token"), "config": server}),
            json!({"type": "webhook", "value": webhook, "additional_value": format!("whsec_{signing}")}),
        ]
    }

    /// Makes them, tries them, enters a secret again, and has the wrong ones refused.
    pub async fn streams(&mut self) -> Result<()> {
        for mut stream in self.streams_to_make() {
            let fields = stream.as_object_mut().context("an object")?;
            fields.extend([
                ("label".to_owned(), json!("canary")),
                ("is_team_wide".to_owned(), json!(true)),
                ("events".to_owned(), json!(["failure", "partial", "success"])),
            ]);
            let id = self.id("notification-streams", &stream).await?;
            let path = format!("notification-streams/{id}");
            let tried = self.client.post(&format!("{path}/test"), &json!({})).await?;
            ensure!(tried["data"]["ok"] == json!(false), "{tried:#}");
            let again = json!({"value": stream["value"], "additional_value": stream["additional_value"]});
            self.client.call(Method::PUT, &path, Some(&again)).await?;
        }
        let refusals = self.receiver.refusals();
        ensure!(refusals.len() == 8, "they were not tried: {refusals:?}");
        let wrong = self.markers.fresh("refused value");
        let long = format!("{wrong} {wrong}");
        for kind in ["discord_webhook", "email", "pushover", "telegram", "webhook", wrong.as_str()] {
            let body = json!({"label": "x", "type": kind, "value": long, "additional_value": long, "events": [wrong]});
            self.refused("notification-streams", &body).await?;
        }
        Ok(())
    }

    /// Waits until every stream was told of a run's end, and reads what is kept of it.
    pub async fn deliveries(&self) -> Result<()> {
        let (started, mut told) = (Instant::now(), std::collections::BTreeSet::new());
        while told.len() < 8 {
            ensure!(started.elapsed() < Duration::from_secs(60), "only these were told: {told:?}");
            told.extend(self.receiver.refusals());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        for path in ["notification-streams", "audit-events?per_page=100", "deliveries?per_page=100"] {
            self.client.raw(Method::GET, path, None).await?;
        }
        for id in 1..=8 {
            self.client.raw(Method::GET, &format!("notification-streams/{id}"), None).await?;
            self.client.raw(Method::GET, &format!("deliveries/{id}"), None).await?;
        }
        Ok(())
    }
}

//! Every channel at a receiver that checks what its service checks: short, long and hostile messages are taken, and a
//! wrong key is told as such.

mod common;

use anyhow::Result;
use common::{HOSTILE, SECRET, message, notifier};
use holdfast_domain::notification::Message;
use holdfast_notify::{DeliveryCode, DeliveryError, Target};
use holdfast_testbed::receivers::webhook::WebhookReceiver;
use holdfast_testbed::receivers::{Receiver, discord, gotify, ntfy, pushover, slack, teams, telegram};
use secrecy::SecretString;
use serde_json::Value;

const LOOPBACK: &[&str] = &["127.0.0.0/8"];
const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const NEW: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

/// A receiver, a target that it takes, one with a wrong key, and where the text stands in what it took.
struct Channel {
    name: &'static str,
    receiver: Receiver,
    target: Target,
    wrong: Target,
    text: &'static str,
}

async fn discord() -> Result<Channel> {
    let receiver = Receiver::start(discord::judge("1", SECRET)).await?;
    let hook = |token: &str| Target::Discord { url: secret(&format!("{}/api/webhooks/1/{token}", receiver.url())) };
    let (target, wrong) = (hook(SECRET), hook("other"));
    Ok(Channel { name: "discord", receiver, target, wrong, text: "/embeds/0/description" })
}

async fn slack() -> Result<Channel> {
    let receiver = Receiver::start(slack::judge("T0/B0/x")).await?;
    let hook = |path: &str| Target::Slack { url: secret(&format!("{}/services/{path}", receiver.url())) };
    let (target, wrong) = (hook("T0/B0/x"), hook("T0/B0/y"));
    Ok(Channel { name: "slack", receiver, target, wrong, text: "/attachments/0/text" })
}

async fn teams() -> Result<Channel> {
    let receiver = Receiver::start(teams::judge("7", SECRET)).await?;
    let path = "workflows/7/triggers/manual/paths/invoke?api-version=2016-06-01";
    let hook = |sig: &str| Target::Teams { url: secret(&format!("{}/{path}&sig={sig}", receiver.url())) };
    let (target, wrong) = (hook(SECRET), hook("other"));
    Ok(Channel { name: "teams", receiver, target, wrong, text: "/attachments/0/content/body/2/inlines/1/text" })
}

async fn pushover() -> Result<Channel> {
    let receiver = Receiver::start(pushover::judge(SECRET, "usr")).await?;
    let keys = |token: &str| Target::Pushover { token: secret(token), user: secret("usr") };
    Ok(Channel { name: "pushover", receiver, target: keys(SECRET), wrong: keys("other"), text: "/message" })
}

async fn telegram() -> Result<Channel> {
    let receiver = Receiver::start(telegram::judge(SECRET, "-100")).await?;
    let target = Target::Telegram { bot_token: None, chat_id: secret("-100") };
    let wrong = Target::Telegram { bot_token: Some(secret("1:other")), chat_id: secret("-100") };
    Ok(Channel { name: "telegram", receiver, target, wrong, text: "/text" })
}

async fn ntfy() -> Result<Channel> {
    let receiver = Receiver::start(ntfy::judge("backups", SECRET)).await?;
    let topic = |token: &str| Target::Ntfy {
        server: None,
        topic: secret("backups"),
        token: Some(secret(token)),
        priority: Some(5),
    };
    Ok(Channel { name: "ntfy", receiver, target: topic(SECRET), wrong: topic("other"), text: "/message" })
}

async fn gotify() -> Result<Channel> {
    let receiver = Receiver::start(gotify::judge(SECRET)).await?;
    let server = receiver.url().to_owned();
    let application = |token: &str| Target::Gotify { server: server.clone(), token: secret(token), priority: Some(10) };
    let (target, wrong) = (application(SECRET), application("other"));
    Ok(Channel { name: "gotify", receiver, target, wrong, text: "/message" })
}

/// A name that says nothing, one that means harm, one too long for every channel, and a test message.
fn messages() -> Vec<Message> {
    let long = "\u{e4}\u{1d54f}\"&".repeat(3_000);
    let mut bare = message("Nightly");
    (bare.event, bare.link, bare.lines) = (None, None, Vec::new());
    let mut many = message(&long);
    (many.destinations, many.lines) = (vec![long.clone(); 200], vec![long; 200]);
    vec![message("Nightly"), message(HOSTILE), many, bare]
}

async fn judge(channel: Result<Channel>) -> Result<()> {
    let Channel { name, receiver, target, wrong, text } = channel?;
    let notifier = notifier(receiver.url(), LOOPBACK);
    for message in messages() {
        let sent = notifier.deliver(&target, &message).await;
        assert_eq!(sent, Ok(()), "{name}: {:?}", receiver.refusals());
        let taken = receiver.message()?;
        let said = taken.pointer(text).and_then(Value::as_str).unwrap_or_else(|| panic!("{name}: {taken:#}"));
        assert!(!said.is_empty() && !said.contains(['\u{202e}', '\r']), "{name}: {said}");
    }
    let refused = notifier.deliver(&wrong, &message("Nightly")).await;
    assert_eq!(refused, Err(DeliveryError::last(DeliveryCode::Refused)), "{name}");
    assert_eq!(receiver.refusals().len(), 1, "{name}");
    Ok(())
}

#[tokio::test]
async fn every_message_is_one_that_its_service_takes() -> Result<()> {
    judge(discord().await).await?;
    judge(slack().await).await?;
    judge(teams().await).await?;
    judge(pushover().await).await?;
    judge(telegram().await).await?;
    judge(ntfy().await).await?;
    judge(gotify().await).await
}

#[tokio::test]
async fn the_specifications_own_library_accepts_a_webhook() -> Result<()> {
    let mut receiver = WebhookReceiver::start(&[OLD]).await?;
    let notifier = notifier(&receiver.url(), LOOPBACK);
    let hook = |secrets: &[&str]| Target::Webhook {
        url: secret(&format!("{}/hook", receiver.url())),
        secrets: secrets.iter().map(|one| secret(one)).collect(),
    };
    let (one, both, other) = (hook(&[OLD]), hook(&[NEW, OLD]), hook(&[NEW]));
    for message in messages() {
        assert_eq!(notifier.deliver(&one, &message).await, Ok(()));
        let taken = receiver.message().await?;
        let title = taken["data"]["title"].as_str().expect("a title");
        assert!(message.title.starts_with(title.trim_end_matches('…')) && title.len() > 6, "{title}");
    }
    assert_eq!(notifier.deliver(&both, &message("Nightly")).await, Ok(()), "while the secret is changed");
    assert_eq!(receiver.message().await?["type"], "failure");
    let refused = notifier.deliver(&other, &message("Nightly")).await;
    assert_eq!(refused, Err(DeliveryError::last(DeliveryCode::Refused)));
    assert_eq!(receiver.refusal().await?, "No matching signature found");
    Ok(())
}

#[tokio::test]
async fn both_secrets_of_a_webhook_sign_while_it_is_changed() -> Result<()> {
    let mut receiver = WebhookReceiver::start(&[OLD, NEW]).await?;
    let secrets = vec![secret(NEW), secret(OLD)];
    let target = Target::Webhook { url: secret(&receiver.url()), secrets };
    assert_eq!(notifier(&receiver.url(), LOOPBACK).deliver(&target, &message("Nightly")).await, Ok(()));
    receiver.message().await.map(drop)
}

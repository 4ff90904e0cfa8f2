//! Every channel, from a stream made over HTTP to a receiver of its protocol: the api seals what it was given, a worker
//! opens it and delivers, the receiver checks form and signature.

use crate::support::options;
use anyhow::{Context, Result, ensure};
use holdfast_testbed::product::USER_EMAIL;
use holdfast_testbed::receivers::webhook::WebhookReceiver;
use holdfast_testbed::receivers::{Receiver, discord, gotify, ntfy, pushover, slack, teams, telegram};
use holdfast_testbed::site::Site;
use holdfast_testbed::smtp::Smtp;
use reqwest::Method;
use serde_json::{Value, json};

const PUSHOVER_TOKEN: &str = "azGDORePK8gMaC0QOYAMyEEuzJnyUi";
const PUSHOVER_USER: &str = "uQiRzpo4DXghDmr9QzzfQu27cmVRsG";
const BOT: &str = "123456:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw";
const SIGNING: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const FLOW: &str = "workflows/7/triggers/manual/paths/invoke?api-version=2016-06-01&sig=abc";

const BASE: &str = "https://backup.example.com";
const STRANGER: &str = "ops@example.org";

/// One receiver a protocol.
struct Receivers {
    discord: Receiver,
    slack: Receiver,
    teams: Receiver,
    pushover: Receiver,
    telegram: Receiver,
    ntfy: Receiver,
    gotify: Receiver,
    webhook: WebhookReceiver,
    mail: Smtp,
}

impl Receivers {
    async fn start() -> Result<Self> {
        Ok(Self {
            discord: Receiver::start(discord::judge("1", "tok")).await?,
            slack: Receiver::start(slack::judge("T0/B0/x")).await?,
            teams: Receiver::start(teams::judge("7", "abc")).await?,
            pushover: Receiver::start(pushover::judge(PUSHOVER_TOKEN, PUSHOVER_USER)).await?,
            telegram: Receiver::start(telegram::judge(BOT, "-1001234567890")).await?,
            ntfy: Receiver::start(ntfy::judge("backups", "tk_AgQdq7mVBoFD37zQVN29RhuMzNIz2")).await?,
            gotify: Receiver::start(gotify::judge("AKsjCRM3aAIsd3g")).await?,
            webhook: WebhookReceiver::start(&[SIGNING]).await?,
            mail: Smtp::start().await?,
        })
    }

    async fn site(&self) -> Result<Site> {
        let options = options()
            .set("HOLDFAST__NOTIFY__ALLOW_HTTP", "true")
            .set("HOLDFAST__NOTIFY__ALLOW_ANY_WEBHOOK_HOST", "true")
            .set("HOLDFAST__NOTIFY__PUSHOVER_URL", self.pushover.url())
            .set("HOLDFAST__NOTIFY__TELEGRAM_URL", self.telegram.url())
            .set("HOLDFAST__NOTIFY__NTFY_URL", self.ntfy.url())
            .set("HOLDFAST__HTTP__PUBLIC_URL", BASE)
            .set("HOLDFAST__MAIL__HOST", "127.0.0.1")
            .set("HOLDFAST__MAIL__PORT", self.mail.port().to_string())
            .set("HOLDFAST__MAIL__TLS", "none")
            .set("HOLDFAST__MAIL__FROM", "Holdfast <backup@example.com>");
        Site::start(options).await
    }
}

/// A stream of `kind` called so, tested: it must say that the receiver took it. `more` is added to the request.
async fn tested(site: &Site, kind: &str, more: Value) -> Result<()> {
    let mut stream = json!({"label": kind, "type": kind, "events": ["failure"]});
    stream.as_object_mut().context("an object")?.extend(more.as_object().context("an object")?.clone());
    let made = site.client.post("notification-streams", &stream).await?;
    let id = made["data"]["id"].as_i64().context("no id")?;
    let answer = site.client.post(&format!("notification-streams/{id}/test"), &json!({})).await?;
    ensure!(answer["data"]["ok"] == json!(true), "{kind}: {answer:#}");
    Ok(())
}

/// `value` at `pointer` names the stream.
fn names(kind: &str, message: &Value, pointer: &str) -> Result<()> {
    let text = message.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    // Discord's own marks stand with a backslash.
    let said = text.replace('\\', "");
    ensure!(said.contains(&format!("The notification stream {kind} works.")), "{kind}: {message:#}");
    Ok(())
}

#[tokio::test]
async fn every_channel_delivers_to_a_receiver_of_its_protocol() -> Result<()> {
    let mut to = Receivers::start().await?;
    let site = to.site().await?;

    tested(&site, "email", json!({"value": USER_EMAIL})).await?;
    let mail = to.mail.mail().await?;
    let (head, body) = mail.split_once("\n\n").context("a mail without a head")?;
    ensure!(
        head.contains(&format!("To: {USER_EMAIL}")) && head.contains("From: Holdfast <backup@example.com>"),
        "{head}"
    );
    ensure!(head.contains("Subject: Test message from Holdfast") && body.contains("stream email works."), "{mail}");

    let value = json!({"value": format!("{}/api/webhooks/1/tok", to.discord.url())});
    tested(&site, "discord_webhook", value).await?;
    names("discord_webhook", &to.discord.message().context("discord")?, "/embeds/0/description")?;

    tested(&site, "slack_webhook", json!({"value": format!("{}/services/T0/B0/x", to.slack.url())})).await?;
    names("slack_webhook", &to.slack.message().context("slack")?, "/attachments/0/text")?;

    tested(&site, "teams_webhook", json!({"value": format!("{}/{FLOW}", to.teams.url())})).await?;
    let card = to.teams.message().context("teams")?;
    let blocks = card.pointer("/attachments/0/content/body").and_then(Value::as_array).context("no card")?.len();
    names("teams_webhook", &card, &format!("/attachments/0/content/body/{}/inlines/0/text", blocks - 1))?;

    let keys = json!({"value": PUSHOVER_TOKEN, "additional_value": PUSHOVER_USER});
    tested(&site, "pushover", keys).await?;
    names("pushover", &to.pushover.message().context("pushover")?, "/message")?;

    tested(&site, "telegram", json!({"value": "-1001234567890", "additional_value": BOT})).await?;
    names("telegram", &to.telegram.message().context("telegram")?, "/text")?;

    let topic = json!({"value": "backups", "additional_value": "tk_AgQdq7mVBoFD37zQVN29RhuMzNIz2"});
    tested(&site, "ntfy", topic).await?;
    names("ntfy", &to.ntfy.message().context("ntfy")?, "/message")?;

    let application = json!({"value": "AKsjCRM3aAIsd3g", "config": {"server_url": to.gotify.url(), "priority": 9}});
    tested(&site, "gotify", application).await?;
    names("gotify", &to.gotify.message().context("gotify")?, "/message")?;

    let hook = json!({"value": format!("{}/hook?a=b", to.webhook.url()), "additional_value": SIGNING});
    tested(&site, "webhook", hook).await?;
    names("webhook", &to.webhook.message().await.context("webhook")?, "/data/lines/0")?;

    a_secret_is_changed_without_a_gap(&site, &mut to).await?;
    wrong_keys(&site, &to).await?;
    a_stranger_agrees(&site, &mut to.mail).await?;
    site.product.stop().await
}

/// A receiver that knows the first secret alone takes what is sent after one change of it, and nothing after two.
async fn a_secret_is_changed_without_a_gap(site: &Site, to: &mut Receivers) -> Result<()> {
    let hook = json!({"label": "turned", "type": "webhook", "events": [], "additional_value": SIGNING,
        "value": format!("{}/hook", to.webhook.url())});
    let made = site.client.post("notification-streams", &hook).await?;
    let path = format!("notification-streams/{}", made["data"]["id"]);
    let (rotate, test) = (format!("{path}/rotate-secret"), format!("{path}/test"));
    let turned = site.client.post(&rotate, &json!({})).await?;
    ensure!(turned["data"]["previous_secret_until"].is_string(), "{turned:#}");
    let answer = site.client.post(&test, &json!({})).await?;
    ensure!(answer["data"]["ok"] == json!(true), "the old secret signs too: {answer:#}");
    names("turned", &to.webhook.message().await.context("webhook")?, "/data/lines/0")?;
    site.client.post(&rotate, &json!({})).await?;
    let answer = site.client.raw(Method::POST, &test, Some(&json!({}))).await?;
    ensure!(answer.body["data"]["ok"] == json!(false), "the first secret is dead: {answer:?}");
    Ok(())
}

/// What a service refuses is told as such, without its words.
async fn wrong_keys(site: &Site, to: &Receivers) -> Result<()> {
    let server = json!({"server_url": to.gotify.url()});
    let stream = json!({"label": "g", "type": "gotify", "events": [], "value": "other", "config": server});
    let made = site.client.post("notification-streams", &stream).await?;
    let path = format!("notification-streams/{}/test", made["data"]["id"]);
    let answer = site.client.raw(Method::POST, &path, Some(&json!({}))).await?;
    let told = answer.body["data"]["steps"][1].to_string();
    ensure!(answer.status == 200 && answer.body["data"]["ok"] == json!(false), "{answer:?}");
    ensure!(told.contains("refused the message") && !told.contains("valid access token"), "{told}");
    ensure!(to.gotify.refusals() == ["another token"], "it was not asked");
    Ok(())
}

/// Nothing is sent to a stranger but a link; once the button behind it is pressed, messages are.
async fn a_stranger_agrees(site: &Site, mails: &mut Smtp) -> Result<()> {
    let stream = json!({"label": "ops", "type": "email", "events": [], "value": STRANGER});
    let made = site.client.post("notification-streams", &stream).await?;
    ensure!(made["data"]["is_confirmed"] == json!(false), "{made:#}");
    let path = format!("notification-streams/{}/test", made["data"]["id"]);
    let early = site.client.post(&path, &json!({})).await?;
    ensure!(early["data"]["ok"] == json!(false), "{early:#}");
    let mail = mails.mail().await?.replace("=\n", "").replace("=3D", "=");
    ensure!(mail.contains(&format!("To: {STRANGER}")) && mail.contains(USER_EMAIL), "{mail}");
    let (_, rest) = mail.split_once(&format!("{BASE}/confirm-stream?token=")).context("no link")?;
    let token: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    let http = reqwest::Client::builder().no_proxy().build()?;
    let page = format!("{}/confirm-stream", site.product.url());
    let shown = http.get(format!("{page}?token={token}")).send().await?;
    ensure!(shown.status() == 200, "{}", shown.status());
    let form = http.post(&page).header("content-type", "application/x-www-form-urlencoded");
    let pressed = form.body(format!("token={token}")).send().await?;
    ensure!(pressed.status() == 200, "{}", pressed.status());
    let sent = site.client.post(&path, &json!({})).await?;
    ensure!(sent["data"]["ok"] == json!(true), "{sent:#}");
    let mail = mails.mail().await?;
    ensure!(mail.contains(&format!("To: {STRANGER}")) && mail.contains("stream ops works."), "{mail}");
    Ok(())
}

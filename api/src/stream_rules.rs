//! What the value of each kind of notification stream may be. The receivers' hosts are compared on the parsed address:
//! a pattern over its text would take `https://evil.example/x.webhook.office.com`. Nothing here connects.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use holdfast_domain::notification::StreamKind;
use url::Url;

/// Longest value of page 003's kinds but Teams, whose workflow addresses are longer.
const PEER_VALUE_CHARS: usize = 255;
const VALUE_CHARS: usize = 2048;

/// `notify.allow_…`
#[derive(Clone, Copy, Debug, Default)]
pub struct StreamRules {
    /// Discord, Slack and Teams streams may point anywhere.
    pub allow_any_webhook_host: bool,
    /// Receivers may be reached without TLS.
    pub allow_http: bool,
}

/// Why a value is none.
#[derive(Debug, PartialEq, Eq)]
pub enum ValueProblem {
    /// It may have so many characters.
    TooLong(usize),
    /// The sentence's end.
    Form(&'static str),
}

use ValueProblem::{Form, TooLong};

impl StreamRules {
    /// The stored form of a stream's `value`.
    ///
    /// # Errors
    /// [`ValueProblem`].
    pub fn value(self, kind: StreamKind, raw: &str) -> Result<String, ValueProblem> {
        let text = raw.trim();
        let max = match kind {
            StreamKind::Teams | StreamKind::Ntfy | StreamKind::Gotify | StreamKind::Webhook => VALUE_CHARS,
            _ => PEER_VALUE_CHARS,
        };
        if text.chars().count() > max {
            return Err(TooLong(max));
        }
        let held = match kind {
            StreamKind::Email => is_email(text).then_some(()).ok_or("it must be an e-mail address"),
            StreamKind::Discord => self.hook(text, is_discord, "it must be a Discord webhook's address"),
            StreamKind::Slack => self.hook(text, is_slack, "it must be a Slack incoming webhook's address"),
            StreamKind::Teams => self.hook(text, is_teams, "it must be a Teams workflow's address"),
            StreamKind::Pushover => is_pushover_key(text).then_some(()).ok_or("it must be 30 letters and digits"),
            StreamKind::Telegram => is_chat_id(text).then_some(()).ok_or("it must be a chat's number"),
            StreamKind::Ntfy => is_topic(text).then_some(()).ok_or("it must be a topic: letters, digits, - and _"),
            StreamKind::Gotify => is_token(text).then_some(()).ok_or("it must be an application's token"),
            StreamKind::Webhook => self.address(text).map(|_| ()),
        };
        held.map(|()| text.to_owned()).map_err(Form)
    }

    /// The stored form of a stream's `additional_value`.
    ///
    /// # Errors
    /// The sentence's end.
    pub fn additional_value(self, kind: StreamKind, raw: &str) -> Result<String, &'static str> {
        let text = raw.trim();
        let held = match kind {
            StreamKind::Pushover => is_pushover_key(text).then_some(()).ok_or("it must be 30 letters and digits"),
            StreamKind::Telegram => is_bot_token(text).then_some(()).ok_or("it must be a bot's token"),
            StreamKind::Ntfy => is_token(text).then_some(()).ok_or("it must be an access token"),
            StreamKind::Webhook => are_signing_secrets(text)
                .then_some(())
                .ok_or("it must be whsec_ and base64 of 24 to 64 bytes, or two of these with a space between"),
            _ => Err("this type has none"),
        };
        held.map(|()| text.to_owned())
    }

    /// The stored form of a server's address.
    ///
    /// # Errors
    /// The sentence's end.
    pub fn server_url(self, raw: &str) -> Result<String, &'static str> {
        let text = raw.trim();
        let url = self.address(text)?;
        let is_plain = url.query().is_none() && url.fragment().is_none() && text.len() <= 255;
        is_plain.then(|| text.to_owned()).ok_or("it must be https://host, with a port and a path if needed")
    }

    fn hook(self, text: &str, is_theirs: fn(&str, &str) -> bool, problem: &'static str) -> Result<(), &'static str> {
        let url = self.address(text)?;
        let host = url.host_str().unwrap_or_default();
        (self.allow_any_webhook_host || is_theirs(host, url.path())).then_some(()).ok_or(problem)
    }

    fn address(self, text: &str) -> Result<Url, &'static str> {
        const PROBLEM: &str = "it must be an https address without user and password";
        let url = Url::parse(text).map_err(|_| PROBLEM)?;
        let host = url.host_str().unwrap_or_default();
        // As it was typed: the parser would make an address of `127.1`.
        let typed = text.split_once("://").map(|(_, rest)| rest.to_ascii_lowercase()).unwrap_or_default();
        let is_plain = (url.scheme() == "https" || (self.allow_http && url.scheme() == "http"))
            && url.username().is_empty()
            && url.password().is_none()
            && url.port() != Some(0)
            && !host.is_empty()
            && typed.starts_with(host)
            && !text.contains(|c: char| c.is_whitespace() || c.is_control());
        is_plain.then_some(url).ok_or(PROBLEM)
    }
}

fn is_discord(host: &str, path: &str) -> bool {
    let is_host = matches!(host, "discord.com" | "discordapp.com" | "ptb.discord.com" | "canary.discord.com");
    is_host && path.starts_with("/api/") && path.contains("webhooks/")
}

fn is_slack(host: &str, path: &str) -> bool {
    matches!(host, "hooks.slack.com" | "hooks.slack-gov.com") && path.starts_with("/services/")
}

fn is_teams(host: &str, _: &str) -> bool {
    [".logic.azure.com", ".api.powerplatform.com", ".webhook.office.com"].iter().any(|end| host.ends_with(end))
}

fn is_email(text: &str) -> bool {
    let Some((name, host)) = text.rsplit_once('@') else { return false };
    let is_name = !name.is_empty()
        && name.len() <= 64
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~.".contains(&b))
        && !name.starts_with('.')
        && !name.ends_with('.')
        && !name.contains("..");
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    is_name && host.contains('.') && host.len() <= 253 && host.split('.').all(is_label)
}

fn is_pushover_key(text: &str) -> bool {
    text.len() == 30 && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

fn is_chat_id(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    (1..=19).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
}

fn is_bot_token(text: &str) -> bool {
    text.split_once(':').is_some_and(|(id, secret)| {
        (1..=20).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_digit())
            && (20..=100).contains(&secret.len())
            && secret.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    })
}

fn is_topic(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

fn is_token(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

fn are_signing_secrets(text: &str) -> bool {
    let is_secret = |secret: &str| {
        let key = secret.strip_prefix("whsec_").and_then(|text| STANDARD.decode(text).ok());
        key.is_some_and(|key| (24..=64).contains(&key.len()))
    };
    (1..=2).contains(&text.split(' ').count()) && text.split(' ').all(is_secret)
}

/// A new signing secret.
#[must_use]
pub fn signing_secret(rng: &mut impl rand::RngCore) -> String {
    let mut key = [0; 32];
    rng.fill_bytes(&mut key);
    format!("whsec_{}", STANDARD.encode(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_takes_its_own_form_alone() {
        let strict = StreamRules::default();
        let long_email = format!("{}@example.org", "a".repeat(255));
        for (kind, good, bad) in [
            (
                StreamKind::Email,
                "a.b+c@example.org",
                vec!["a", "a@b", "a@b.c, d@e.f", "a@b.c\r\nBcc: v@x.y", "<a@b.c>"],
            ),
            (
                StreamKind::Discord,
                "https://discord.com/api/webhooks/1/x",
                vec!["https://evil.example/discord.com/api/webhooks/", "http://discord.com/api/webhooks/1/x", "x"],
            ),
            (
                StreamKind::Slack,
                "https://hooks.slack.com/services/T/B/x",
                vec!["https://hooks.slack.com.evil.example/services/x", "https://u:p@hooks.slack.com/services/x"],
            ),
            (
                StreamKind::Teams,
                "https://prod-1.westeurope.logic.azure.com:443/workflows/x?sig=y",
                vec!["https://evil/x.webhook.office.com/webhookb2/y", "https://logic.azure.com.evil.example/"],
            ),
            (StreamKind::Pushover, "azGDORePK8gMaC0QOYAMyEEuzJnyUi", vec!["short", "azGDORePK8gMaC0QOYAMyEEuzJnyU-"]),
            (StreamKind::Telegram, "-1001234567890", vec!["@channel", "1 2", "1e5", ""]),
            (StreamKind::Ntfy, "my_backups-7", vec!["a/b", "a b", "ü"]),
            (StreamKind::Gotify, "AbC.x_y", vec!["a b", "a\nb", ""]),
            (
                StreamKind::Webhook,
                "https://h.example/x?y",
                vec![
                    "http://h.example/",
                    "https://127.1/",
                    "https://0x7f.1/",
                    "https://h:0/",
                    "gopher://h/",
                    "https://u@h/",
                ],
            ),
        ] {
            assert_eq!(strict.value(kind, good).as_deref(), Ok(good), "{kind:?}");
            for bad in bad {
                assert!(strict.value(kind, bad).is_err(), "{kind:?}: {bad}");
            }
        }
        assert_eq!(strict.value(StreamKind::Email, &long_email), Err(TooLong(255)));
        let open = StreamRules { allow_any_webhook_host: true, allow_http: true };
        assert!(open.value(StreamKind::Discord, "http://127.0.0.1:9/hook").is_ok());
    }

    #[test]
    fn one_or_two_signing_secrets_are_taken() {
        let one = signing_secret(&mut rand::rng());
        for good in [one.clone(), format!("{one} {one}")] {
            assert_eq!(StreamRules::default().additional_value(StreamKind::Webhook, &good), Ok(good));
        }
        for bad in [format!("{one} {one} {one}"), "whsec_AAAA".to_owned(), one.replace("whsec_", "")] {
            assert!(StreamRules::default().additional_value(StreamKind::Webhook, &bad).is_err(), "{bad}");
        }
    }
}

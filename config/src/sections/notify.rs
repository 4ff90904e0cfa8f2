//! `notify`: where the public notification services are, and what a team's streams may be.

use crate::reader::Reader;
use std::path::PathBuf;
use url::Url;

/// See `default.toml`.
#[derive(Clone, Debug, PartialEq)]
pub struct NotifyConfig {
    /// Pushover's service.
    pub pushover_url: Url,
    /// Telegram's service.
    pub telegram_url: Url,
    /// The ntfy server of streams that name none.
    pub ntfy_url: Url,
    /// A file with the token of the installation's Telegram bot.
    pub telegram_bot_token_file: Option<PathBuf>,
    /// Whether Discord, Slack and Teams streams may point at hosts that are not those companies'.
    pub allow_any_webhook_host: bool,
    /// Whether receivers may be reached without TLS.
    pub allow_http: bool,
}

impl NotifyConfig {
    pub(crate) fn read(reader: &mut Reader) -> Option<Self> {
        let pushover_url = reader.required("notify.pushover_url");
        let telegram_url = reader.required("notify.telegram_url");
        let ntfy_url = reader.required("notify.ntfy_url");
        let telegram_bot_token_file = reader.optional("notify.telegram_bot_token_file");
        let allow_any_webhook_host = reader.required("notify.allow_any_webhook_host");
        let allow_http = reader.required("notify.allow_http");
        Some(Self {
            pushover_url: pushover_url?,
            telegram_url: telegram_url?,
            ntfy_url: ntfy_url?,
            telegram_bot_token_file: telegram_bot_token_file?,
            allow_any_webhook_host: allow_any_webhook_host?,
            allow_http: allow_http?,
        })
    }
}

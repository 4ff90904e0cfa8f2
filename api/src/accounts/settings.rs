//! What the operator chose for people, their sessions and their tokens.

use chrono::TimeDelta;
use holdfast_config::Config;

/// `accounts` of the configuration.
#[derive(Clone)]
pub struct AccountSettings {
    /// Whether anybody may make an account.
    pub registration: bool,
    /// Whether a password gives a token.
    pub device_tokens: bool,
    /// A session that was not used for so long ends.
    pub session_idle: TimeDelta,
    /// A session ends after so long.
    pub session_lifetime: TimeDelta,
    /// How long a token lives whose maker said nothing.
    pub token_lifetime: TimeDelta,
    /// How long a token may live.
    pub token_lifetime_max: TimeDelta,
    /// Whether mail can be sent.
    pub has_mail: bool,
}

impl AccountSettings {
    /// As configured.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let has_mail = config.mail.host.is_some();
        let config = &config.accounts;
        // The configuration's ranges keep all of them far below what a delta holds.
        let delta = |duration| TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX);
        Self {
            registration: config.registration,
            device_tokens: config.device_tokens,
            session_idle: delta(config.session_idle),
            session_lifetime: delta(config.session_lifetime),
            token_lifetime: TimeDelta::days(config.token_days.into()),
            token_lifetime_max: TimeDelta::days(config.token_max_days.into()),
            has_mail,
        }
    }
}

//! The api as a process: its parts from the configuration, and its two listeners. What operators do and what monitors
//! read must never be reachable through the public one.

use crate::Routers;
use crate::absence_watch;
use crate::accounts::AccountSettings;
use crate::connections::{ConnectionLimits, accept};
use crate::links::Origin;
use crate::live::StreamLimits;
use crate::relay::Relay;
use crate::state::ApiParts;
use crate::stream_rules::StreamRules;
use crate::tls::{LOOK_EVERY, Tls};
use anyhow::{Context, ensure};
use holdfast_config::Config;
use holdfast_store::Store;
use holdfast_vault::{KekError, LoginKey};
use rand::SeedableRng;
use secrecy::SecretString;
use std::sync::Arc;
use tokio::net::TcpListener;

pub use crate::connections::Stop;

/// Where requests arrive.
pub struct Listeners {
    /// Everybody's.
    pub public: TcpListener,
    /// Of those who run the installation; without it their routes are served nowhere.
    pub operator: Option<TcpListener>,
}

/// Serves the API until `stop`. `/readyz` says no while the migration that is needed has not been applied.
///
/// # Errors
/// The TLS library for the way to the workers could not be set up, or a file that the configuration names cannot be read.
pub async fn serve(
    config: Arc<Config>,
    (store, needed_migration): (Store, Option<String>),
    listeners: Listeners,
    stop: Stop,
) -> anyhow::Result<()> {
    let watch = absence_watch::run(store.clone(), config.absence.clone(), [stop.soft.clone(), stop.hard.clone()]);
    let Routers { public, operator, metrics, hub } =
        crate::routers(ApiParts { needed_migration, ..parts(&config, store)? });
    let live = hub.run([stop.soft.clone(), stop.hard.clone()]);
    let limits = ConnectionLimits {
        header_timeout: config.http.header_timeout,
        write_timeout: config.http.write_timeout,
        proxies: config.http.trusted_proxies.clone(),
        connections: config.http.max_connections,
        connections_per_address: config.http.max_connections_per_address,
        tls: None,
    };
    let tls = match (&config.http.tls_cert_file, &config.http.tls_key_file) {
        (Some(cert), Some(key)) => Some(Arc::new(Tls::load(cert, key, LOOK_EVERY)?)),
        _ => None,
    };
    let of_public = ConnectionLimits { tls, ..limits.clone() };
    let serving = accept(listeners.public, public, of_public, metrics.listener("public"), stop.clone());
    match listeners.operator {
        Some(listener) => {
            let also = accept(listener, operator, limits, metrics.listener("operator"), stop);
            tokio::join!(watch, live, serving, also);
        }
        None => {
            tokio::join!(watch, live, serving);
        }
    }
    Ok(())
}

fn parts(config: &Config, store: Store) -> anyhow::Result<ApiParts> {
    let origin = |url: &Option<url::Url>| Origin {
        public_url: url.as_ref().map(ToString::to_string),
        allowed_hosts: config.http.allowed_hosts.clone(),
    };
    Ok(ApiParts {
        login_key: login_key(config)?,
        store,
        relay: Relay::new()?,
        origin: origin(&config.http.public_url),
        operator_origin: origin(&config.operator.public_url),
        metrics_token: metrics_token(config)?,
        metrics_tasks: config.operator.metrics_tasks,
        needed_migration: None,
        rate_limit_per_min: config.http.rate_limit_per_min,
        session_rate_limit_per_min: config.http.session_rate_limit_per_min,
        run_rate_limit_per_min: config.http.run_rate_limit_per_min,
        webhook_secret_in_query: config.http.webhook_secret_in_query,
        login_rate_limit_per_min: config.http.login_rate_limit_per_min,
        accounts: AccountSettings::of(config),
        team_limits: holdfast_domain::TeamLimits::from_pairs(config.limits.pairs()),
        stream_rules: StreamRules {
            allow_any_webhook_host: config.notify.allow_any_webhook_host,
            allow_http: config.notify.allow_http,
        },
        trusted_proxies: config.http.trusted_proxies.clone(),
        absence_grace: config.absence.grace,
        min_interval: config.schedule.min_interval,
        max_body_bytes: usize::try_from(config.http.max_body_bytes).unwrap_or(usize::MAX),
        request_timeout: config.http.request_timeout,
        event_streams: StreamLimits {
            all: config.http.event_streams,
            per_team: config.http.event_streams_per_team,
            per_user: config.http.event_streams_per_user,
        },
        clock: Arc::new(chrono::Utc::now),
        rng: rand::rngs::StdRng::from_os_rng(),
    })
}

/// What a reader of `/metrics` must know, if anything. A file that is empty must not open what it was to close.
fn metrics_token(config: &Config) -> anyhow::Result<Option<SecretString>> {
    let Some(path) = &config.operator.metrics_token_file else { return Ok(None) };
    let about = || format!("`operator.metrics_token_file` ({})", path.display());
    let text = std::fs::read_to_string(path).with_context(about)?;
    ensure!(!text.trim().is_empty(), "{} is empty", about());
    Ok(Some(SecretString::from(text.trim())))
}

/// The log-in key, if there is one. Without it nobody can use a second factor, and everything else works.
fn login_key(config: &Config) -> anyhow::Result<Option<LoginKey>> {
    let Some(path) = &config.accounts.login_key_file else { return Ok(None) };
    match LoginKey::load(path) {
        Ok(key) => Ok(Some(key)),
        Err(KekError::Missing(_)) => {
            tracing::warn!(
                "there is no log-in key at {}: two-factor log-in is not possible. `holdfast admin login-key` makes the \
                 file where the key file is",
                path.display()
            );
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn the_token_of_metrics_is_a_file_that_is_not_empty() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let read = || {
            let env = ("HOLDFAST__OPERATOR__METRICS_TOKEN_FILE".to_owned(), path.display().to_string());
            metrics_token(&Config::load(None, [env].into_iter()).unwrap())
        };
        assert!(read().is_err(), "there is none");
        std::fs::write(&path, " \n").unwrap();
        assert!(read().is_err(), "it is empty");
        std::fs::write(&path, "abc\n").unwrap();
        assert_eq!(read().unwrap().unwrap().expose_secret(), "abc");
        assert!(metrics_token(&Config::load(None, std::iter::empty()).unwrap()).unwrap().is_none());
    }
}

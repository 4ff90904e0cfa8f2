//! Typed configuration: embedded defaults, then a TOML file, then `HOLDFAST__SECTION__KEY`.
//!
//! Every error is reported at once, each with its key, where it was set and what is allowed; an unknown key is an
//! error. No secret has a key here: secrets are files, and a key names the file.
//!
//! ```
//! use holdfast_config::Config;
//!
//! let env = [("HOLDFAST__EGRESS__ALLOW", "10.0.0.0/8,192.168.0.0/16"), ("HOLDFAST__WORKER__HEARTBEAT_SECS", "0.5")];
//! let env = env.map(|(key, value)| (key.to_owned(), value.to_owned()));
//! let config = Config::load(None, env.into_iter())?;
//! assert_eq!(config.egress.allow.len(), 2);
//! assert_eq!(config.worker.heartbeat.as_millis(), 500);
//!
//! let wrong = [("HOLDFAST__WORKER__LEASE_SECS", "soon"), ("HOLDFAST__SSH__FIRST", "trust")];
//! let wrong = wrong.map(|(key, value)| (key.to_owned(), value.to_owned()));
//! let errors = Config::load(None, wrong.into_iter()).err().expect("two errors");
//! assert_eq!(errors.0.len(), 2);
//! # Ok::<(), holdfast_config::ConfigErrors>(())
//! ```

mod error;
mod layers;
mod reader;
pub mod reference;
mod sections;
mod setting;

pub use error::{ConfigError, ConfigErrors};
pub use sections::absence::AbsenceConfig;
pub use sections::accounts::AccountsConfig;
pub use sections::data_plane::DataPlaneConfig;
pub use sections::database::DatabaseConfig;
pub use sections::destinations::DestinationsConfig;
pub use sections::egress::EgressConfig;
pub use sections::http::HttpConfig;
pub use sections::limits::LimitsConfig;
pub use sections::log::{LogConfig, LogFormat};
pub use sections::mail::{MailConfig, MailTls};
pub use sections::notify::NotifyConfig;
pub use sections::operator::OperatorConfig;
pub use sections::reachability::ReachabilityConfig;
pub use sections::run_logs::RunLogsConfig;
pub use sections::schedule::ScheduleConfig;
pub use sections::ssh::{FirstContact, SshConfig};
pub use sections::vault::VaultConfig;
pub use sections::worker::WorkerConfig;

use reader::Reader;
use std::path::Path;

/// Everything an operator can set. Passwords of the database come by `DATABASE_URL`, which is not read here.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The public HTTP listener.
    pub http: HttpConfig,
    /// The listener for those who run the installation.
    pub operator: OperatorConfig,
    /// People, their sessions and tokens.
    pub accounts: AccountsConfig,
    /// The connection pool.
    pub database: DatabaseConfig,
    /// The workers' internal HTTP listener.
    pub data_plane: DataPlaneConfig,
    /// Leases, retries, concurrency.
    pub worker: WorkerConfig,
    /// Reaching servers.
    pub ssh: SshConfig,
    /// Which addresses may be reached.
    pub egress: EgressConfig,
    /// Where backups may go.
    pub destinations: DestinationsConfig,
    /// What a team may have.
    pub limits: LimitsConfig,
    /// The key file.
    pub vault: VaultConfig,
    /// The product's own log.
    pub log: LogConfig,
    /// The SMTP server.
    pub mail: MailConfig,
    /// Notification services and streams.
    pub notify: NotifyConfig,
    /// How long logs of runs are kept.
    pub run_logs: RunLogsConfig,
    /// The alarm on absence.
    pub absence: AbsenceConfig,
    /// Looking at servers and destinations.
    pub reachability: ReachabilityConfig,
    /// How often tasks may run, and what becomes of missed due times.
    pub schedule: ScheduleConfig,
}

impl Config {
    /// Reads the defaults, `file` and the variables of `env` that start with `HOLDFAST__`; the later wins.
    ///
    /// # Errors
    /// All of them at once.
    pub fn load(file: Option<&Path>, env: impl Iterator<Item = (String, String)>) -> Result<Self, ConfigErrors> {
        let (layers, errors) = layers::collect(file, env);
        let mut reader = Reader::new(layers, errors);
        let config = Self::read(&mut reader);
        match (config, reader.finish()) {
            (Some(config), errors) if errors.is_empty() => Ok(config),
            (_, errors) => Err(ConfigErrors(errors)),
        }
    }

    /// Every section is read before the first `?`, so that one section's error does not hide another's.
    fn read(reader: &mut Reader) -> Option<Self> {
        let http = HttpConfig::read(reader);
        let operator = OperatorConfig::read(reader);
        let accounts = AccountsConfig::read(reader);
        let database = DatabaseConfig::read(reader);
        let data_plane = DataPlaneConfig::read(reader);
        let worker = WorkerConfig::read(reader);
        let ssh = SshConfig::read(reader);
        let egress = EgressConfig::read(reader);
        let destinations = DestinationsConfig::read(reader);
        let limits = LimitsConfig::read(reader);
        let vault = VaultConfig::read(reader);
        let log = LogConfig::read(reader);
        let mail = MailConfig::read(reader);
        let notify = NotifyConfig::read(reader);
        let absence = AbsenceConfig::read(reader);
        let reachability = ReachabilityConfig::read(reader);
        let schedule = ScheduleConfig::read(reader);
        let run_logs = RunLogsConfig::read(reader);
        Some(Self {
            http: http?,
            operator: operator?,
            accounts: accounts?,
            database: database?,
            data_plane: data_plane?,
            worker: worker?,
            ssh: ssh?,
            egress: egress?,
            destinations: destinations?,
            limits: limits?,
            vault: vault?,
            log: log?,
            mail: mail?,
            notify: notify?,
            absence: absence?,
            reachability: reachability?,
            schedule: schedule?,
            run_logs: run_logs?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn load(env: &[(&str, &str)]) -> Config {
        let env: Vec<_> = env.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Config::load(None, env.into_iter()).unwrap()
    }

    #[test]
    fn the_defaults_are_a_whole_and_valid_configuration() {
        let config = load(&[]);
        assert_eq!((config.worker.lease.as_secs(), config.worker.heartbeat.as_secs()), (90, 15));
        assert_eq!(config.worker.retry_delays, [60, 300, 900].map(Duration::from_secs));
        assert_eq!(config.ssh.first_contact, FirstContact::Confirm);
        assert!(!config.egress.allow_private && config.egress.allow.is_empty());
        assert_eq!(config.destinations.local_root, None);
    }

    #[test]
    fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("holdfast.toml");
        std::fs::write(&path, "[worker]\nconcurrency = 7\nmax_attempts = 5\n[vault]\nkek_file = \"/k\"\n").unwrap();
        let env = [("HOLDFAST__WORKER__MAX_ATTEMPTS", "2"), ("HOLDFAST__VAULT__KEK_FILE", "")];
        let env = env.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let config = Config::load(Some(&path), env.into_iter()).unwrap();
        assert_eq!(
            (config.worker.concurrency, config.worker.max_attempts, config.worker.heartbeat.as_secs()),
            (7, 2, 15)
        );
        assert_eq!(config.vault.kek_file, None, "the empty text unsets");
    }

    #[test]
    fn tests_can_run_the_protocol_fast_and_the_last_delay_goes_on() {
        let config = load(&[
            ("HOLDFAST__WORKER__LEASE_SECS", "3"),
            ("HOLDFAST__WORKER__HEARTBEAT_SECS", "0.5"),
            ("HOLDFAST__WORKER__RETRY_DELAYS_SECS", "0, 2.5"),
        ]);
        let delays: Vec<f64> = (1..=4).map(|attempts| config.worker.retry_delay(attempts).as_secs_f64()).collect();
        assert_eq!(delays, [0.0, 2.5, 2.5, 2.5]);
    }
}

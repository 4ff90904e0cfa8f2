//! What is wrong with a configuration. A value is repeated only for keys that exist and can hold no secret.

use std::fmt;
use std::path::PathBuf;

/// Where a value was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The embedded defaults.
    Default,
    /// The TOML file.
    File(PathBuf),
    /// An environment variable.
    Env(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the defaults"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Env(name) => write!(f, "the environment variable {name}"),
        }
    }
}

/// One error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read at all.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why, with the line where there is one.
        reason: String,
    },
    /// Nothing has this name.
    #[error("{origin}: there is no key `{key}`; {known}")]
    UnknownKey {
        /// As written.
        key: String,
        /// Where.
        origin: Origin,
        /// What there is.
        known: String,
    },
    /// The value is not of the right kind or out of range.
    #[error("{origin}: `{key}` is {value}; allowed: {allowed}")]
    Invalid {
        /// The key.
        key: String,
        /// Where.
        origin: Origin,
        /// As written.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// A value that is right by itself does not fit another one.
    #[error("{origin}: `{key}` {problem}")]
    Conflict {
        /// The key.
        key: String,
        /// Where.
        origin: Origin,
        /// What does not fit, and what would.
        problem: String,
    },
}

/// All errors of a configuration, in a stable order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(f, "the configuration has {count} error{}", if count == 1 { "" } else { "s" })?;
        self.0.iter().try_for_each(|error| write!(f, "\n  - {error}"))
    }
}

impl std::error::Error for ConfigErrors {}

#[cfg(test)]
mod tests {
    use crate::Config;

    #[test]
    fn every_error_is_told_at_once_with_key_origin_and_what_is_allowed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("holdfast.toml");
        let file = r#"
            top = 1
            [http]
            listen = "everywhere"
            public_url = "https://backup.example.com/api"
            allowed_hosts = ["ok.example", "bad host"]
            rate_limit_per_min = -1
            [worker]
            heartbeat_secs = 40
            retry_delays_secs = []
            lease = 3
            [data_plane]
            listen = "0.0.0.0:9090"
            [postgres]
            url = "postgres://secret"
        "#;
        std::fs::write(&path, file).unwrap();
        let env = [
            ("HOLDFAST__EGRESS__ALLOW", "10.0.0.0/8,10.0.0.1/8"),
            ("HOLDFAST__SSH__FIRST_CONTACT", "maybe"),
            ("HOLDFAST__VAULT__KEK_FILE", "relative"),
            ("HOLDFAST__WORKER", "4"),
            ("HOLDFAST__WORKER__MAX_ATTEMPTS", "99"),
            ("HOLDFAST_DATA_DIR", "not ours"),
        ];
        let env = env.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let errors = Config::load(Some(&path), env.into_iter()).err().unwrap();
        insta::assert_snapshot!(errors.to_string().replace(&path.display().to_string(), "holdfast.toml"));
    }

    #[test]
    fn a_value_of_an_unknown_key_is_not_repeated() {
        let env = [("HOLDFAST__DATABASE__PASSWORD".to_owned(), "canary".to_owned())];
        let errors = Config::load(None, env.into_iter()).err().unwrap();
        assert!(!errors.to_string().contains("canary"), "{errors}");
    }

    #[test]
    fn a_file_that_is_missing_or_no_toml_is_told_beside_the_other_errors() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("none.toml");
        let env = || [("HOLDFAST__WORKER__CONCURRENCY".to_owned(), "0".to_owned())].into_iter();
        assert_eq!(Config::load(Some(&path), env()).err().unwrap().0.len(), 2);
        std::fs::write(&path, "[worker\nconcurrency = 1").unwrap();
        let errors = Config::load(Some(&path), env()).err().unwrap();
        assert_eq!(errors.0.len(), 2);
        assert!(errors.to_string().contains("line 1"), "{errors}");
    }
}

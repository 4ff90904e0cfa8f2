//! The command line.

use clap::{Args, Parser, Subcommand};
use secrecy::SecretString;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Backups of servers over SSH, for teams.
#[derive(Parser)]
#[command(name = "holdfast", version)]
pub struct Cli {
    /// A TOML file with what differs from the defaults (docs/configuration.md).
    #[arg(long, global = true, env = "HOLDFAST_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(subcommand)]
    pub role: Role,
}

#[derive(Subcommand)]
pub enum Role {
    /// Serves the REST API.
    Api(ApiArgs),
    /// Takes runs and restores, and does them.
    Worker(WorkerArgs),
    /// One machine: a private PostgreSQL (or DATABASE_URL), one api and some workers.
    Up(UpArgs),
    /// Brings the database's schema up to date.
    Migrate(MigrateArgs),
    /// Reads the configuration and reports every error in it.
    CheckConfig,
    /// Shows on one machine, with a customer of its own, that a backup comes back.
    Demo(crate::roles::demo::DemoArgs),
    /// The operator's work.
    #[command(subcommand)]
    Admin(Admin),
}

/// Where an installation is.
#[derive(Args, Clone)]
pub struct Place {
    /// The data folder of `holdfast up`; its private database is started for this command if it is not running.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// A database elsewhere, as its owner: postgres://user:password@host/database.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub database_url: Option<SecretString>,
    /// The same database as a user with the application's rights alone.
    #[arg(long, env = "DATABASE_APP_URL", hide_env_values = true, value_name = "URL")]
    pub database_app_url: Option<SecretString>,
}

#[derive(Args)]
pub struct ApiArgs {
    #[command(flatten)]
    pub place: Place,
    /// Takes the listening socket from standard input: how `holdfast up` hands it over.
    #[arg(long, hide = true)]
    pub listener_on_stdin: bool,
}

#[derive(Args)]
pub struct WorkerArgs {
    #[command(flatten)]
    pub place: Place,
    /// The same database as a user who may read all of it, for copies of the whole (docs/operating.md).
    #[arg(long, env = "DATABASE_COPY_URL", hide_env_values = true, value_name = "URL")]
    pub database_copy_url: Option<SecretString>,
}

#[derive(Args)]
pub struct UpArgs {
    #[command(flatten)]
    pub place: Place,
    /// Where the API listens; without it `http.listen`.
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<SocketAddr>,
    /// How many worker processes.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub workers: u16,
}

#[derive(Args)]
pub struct MigrateArgs {
    #[command(flatten)]
    pub place: Place,
    /// Where the copy from before the migration goes; without it `copies` in the data folder.
    #[arg(long, value_name = "DIR")]
    pub copies: Option<PathBuf>,
}

#[derive(Subcommand)]
pub enum Admin {
    /// Makes a person with a team of their own.
    CreateUser {
        #[command(flatten)]
        place: Place,
        #[arg(long)]
        email: String,
        #[arg(long)]
        name: String,
        /// An IANA zone, as Europe/Copenhagen.
        #[arg(long)]
        timezone: String,
        /// Reads the password from standard input (the only way: arguments are visible to others).
        #[arg(long, required = true)]
        password_stdin: bool,
        /// The person also runs this installation.
        #[arg(long)]
        operator: bool,
    },
    /// Makes an API token and prints it, alone, on standard output. It is not shown again.
    CreateToken {
        #[command(flatten)]
        place: Place,
        #[arg(long)]
        email: String,
        #[arg(long)]
        name: String,
        /// Names separated by commas, or * for all.
        #[arg(long, value_delimiter = ',', required = true)]
        abilities: Vec<String>,
        /// The token ends after so many days; without it, never.
        #[arg(long, value_parser = clap::value_parser!(u16).range(1..=3650))]
        expires_in_days: Option<u16>,
    },
    /// Makes a token useless from the next request on
    RevokeToken {
        #[command(flatten)]
        place: Place,
        /// Whose token.
        #[arg(long)]
        email: String,
        /// The number in front of the token's `|`.
        #[arg(long)]
        id: i64,
    },
    /// Writes the database and the key, encrypted, to one file.
    Backup {
        #[command(flatten)]
        place: Place,
        /// The file to be made.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        /// Whose key opens it (`age-keygen` makes one).
        #[arg(long, required = true, value_name = "age1…")]
        recipient: Vec<String>,
    },
    /// Puts back what `admin backup` wrote, into a new data folder or an empty database.
    Restore {
        #[command(flatten)]
        place: Place,
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// The file with the key: AGE-SECRET-KEY-1….
        #[arg(long, value_name = "FILE")]
        identity: PathBuf,
    },
    /// Makes the log-in key's file, which the api needs for two-factor log-in. `up` does it by itself.
    LoginKey {
        #[command(flatten)]
        place: Place,
    },
    /// Prints a team's keys and how to open its backups without Holdfast. Keep it secret.
    RecoveryKit {
        #[command(flatten)]
        place: Place,
        /// The team's number.
        #[arg(long, value_name = "ID")]
        team: i64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_password_is_never_an_argument() {
        let words = ["holdfast", "admin", "create-user", "--email", "a@b.c", "--name", "A", "--timezone", "UTC"];
        assert!(Cli::try_parse_from(words).is_err());
        assert!(Cli::try_parse_from(words.iter().chain(&["--password", "x"])).is_err());
        assert!(Cli::try_parse_from(words.iter().chain(&["--password-stdin"])).is_ok());
    }
}

//! What a task reads, as stored in `backup_tasks.source`.

use serde::{Deserialize, Serialize};

/// What a task reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SourceSpec {
    /// A file tree.
    Files(FilesSpec),
    /// Databases.
    Database(DatabaseSpec),
}

/// Which files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilesSpec {
    /// Absolute paths, at least one; a top path that does not exist fails the run.
    pub paths: Vec<String>,
    /// No `/` = a name anywhere; leading `/` = anchored; `*` stays within a name.
    #[serde(default)]
    pub excludes: Vec<String>,
    /// Stay on the file system of each top path.
    #[serde(default = "yes")]
    pub one_file_system: bool,
    /// Look for holes in files and store them as such.
    #[serde(default)]
    pub sparse: bool,
}

/// Which databases. The password is a sealed column of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseSpec {
    /// Which engine, or whichever answers.
    pub engine: EngineChoice,
    /// Names; empty = all.
    pub databases: Vec<String>,
    /// Definition and rows left out: `db.table` or `db.schema.table` or, in the short form, `table`.
    #[serde(default)]
    pub excluded_tables: Vec<String>,
    /// Rows left out.
    #[serde(default)]
    pub excluded_table_data: Vec<String>,
    /// Where the server runs, seen from the remote server.
    #[serde(default)]
    pub host: Option<String>,
    /// Its port.
    #[serde(default)]
    pub port: Option<u16>,
    /// Its user.
    #[serde(default)]
    pub username: Option<String>,
    /// Roles and tablespaces as a stream of their own (PostgreSQL); none = when all databases are read.
    #[serde(default)]
    pub globals: Option<bool>,
    /// A path that a client of page 003 gave besides: shown again as that page does, and never read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// A database engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// MySQL of Oracle.
    Mysql,
    /// MariaDB.
    Mariadb,
    /// PostgreSQL.
    Postgresql,
}

/// What a task says of its engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineChoice {
    /// Whichever answers; two answering is an error that asks to choose.
    #[default]
    Auto,
    /// MySQL of Oracle.
    Mysql,
    /// MariaDB.
    Mariadb,
    /// PostgreSQL.
    Postgresql,
}

impl Engine {
    /// The stored form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mysql => "mysql",
            Self::Mariadb => "mariadb",
            Self::Postgresql => "postgresql",
        }
    }
}

impl EngineChoice {
    /// The stored form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.engine().map_or("auto", Engine::as_str)
    }

    /// The engine that was chosen; none = to be detected.
    #[must_use]
    pub fn engine(self) -> Option<Engine> {
        match self {
            Self::Auto => None,
            Self::Mysql => Some(Engine::Mysql),
            Self::Mariadb => Some(Engine::Mariadb),
            Self::Postgresql => Some(Engine::Postgresql),
        }
    }
}

impl std::str::FromStr for EngineChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Auto, Self::Mysql, Self::Mariadb, Self::Postgresql]
            .into_iter()
            .find(|choice| choice.as_str() == text)
            .ok_or_else(|| format!("unknown database engine {text:?}"))
    }
}

fn yes() -> bool {
    true
}

/// How a backup is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EncryptionMode {
    /// To the team's key, plus the public keys the team added.
    Managed,
    /// Only to the team's own public keys: Holdfast cannot read it.
    Recipients,
    /// With a password.
    Password,
    /// Not at all; only when asked for.
    None,
}

impl EncryptionMode {
    /// The stored form.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Managed => "managed",
            Self::Recipients => "recipients",
            Self::Password => "password",
            Self::None => "none",
        }
    }
}

impl std::str::FromStr for EncryptionMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Managed, Self::Recipients, Self::Password, Self::None]
            .into_iter()
            .find(|mode| mode.as_str() == text)
            .ok_or_else(|| format!("unknown encryption mode {text:?}"))
    }
}

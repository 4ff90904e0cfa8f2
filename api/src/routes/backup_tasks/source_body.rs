//! `source{…}` of a task: the long form.

use crate::validation::{Fields, Presence, rules, texts};
use holdfast_domain::paths::{EXCLUDES_MAX, PATHS_MAX};
use utoipa::ToSchema;

const ENGINES: [&str; 4] = ["auto", "mysql", "mariadb", "postgresql"];
/// Longest name of a database user.
const USERNAME_MAX_CHARS: usize = 128;
/// Names of one list at most.
const NAMES_MAX: usize = 1_000;

/// What is read.
#[derive(Default, ToSchema)]
pub(crate) struct SourceBody {
    /// Absolute.
    pub paths: Option<Vec<String>>,
    /// No `/` = a name anywhere; leading `/` = anchored; `*` stays within a name.
    pub excludes: Option<Vec<String>>,
    /// Stay on the file system of each path.
    pub one_file_system: Option<bool>,
    /// Store holes in files as holes.
    pub sparse: Option<bool>,
    /// `auto`, `mysql`, `mariadb`, `postgresql`.
    pub engine: Option<String>,
    /// Where the database server runs, seen from the remote server.
    pub host: Option<String>,
    pub port: Option<i64>,
    pub username: Option<String>,
    /// Write-only; bound to engine, host, port and user.
    pub password: Option<String>,
    /// Names, or `"all"`.
    pub databases: Option<Vec<String>>,
    /// Definition and rows left out.
    pub excluded_tables: Option<Vec<String>>,
    /// Rows left out.
    pub excluded_table_data: Option<Vec<String>>,
    /// PostgreSQL's roles and tablespaces as a stream of their own; without it, when all databases are read.
    pub globals: Option<bool>,
    #[schema(ignore)]
    pub clears_password: bool,
}

impl SourceBody {
    pub(super) fn read(fields: &mut Fields) -> Self {
        let body = Self {
            paths: fields.strings("paths", Presence::Optional, PATHS_MAX, holdfast_domain::paths::absolute),
            excludes: fields.strings("excludes", Presence::Optional, EXCLUDES_MAX, holdfast_domain::paths::exclude),
            one_file_system: fields.boolean("one_file_system", Presence::Optional),
            sparse: fields.boolean("sparse", Presence::Optional),
            engine: fields.one_of("engine", Presence::Optional, &ENGINES),
            host: fields.parsed("host", Presence::Optional, rules::host),
            port: fields.integer("port", Presence::Optional),
            username: fields.string("username", Presence::Optional),
            password: fields.secret("password", Presence::Optional, false),
            databases: databases(fields),
            excluded_tables: fields.strings("excluded_tables", Presence::Optional, NAMES_MAX, rules::table_name),
            excluded_table_data: fields.strings(
                "excluded_table_data",
                Presence::Optional,
                NAMES_MAX,
                rules::table_name,
            ),
            globals: fields.boolean("globals", Presence::Optional),
            clears_password: fields.sent("password") && !fields.filled("password"),
        };
        if body.username.as_ref().is_some_and(|name| name.chars().count() > USERNAME_MAX_CHARS) {
            fields.fail("username", texts::too_long("source.username", USERNAME_MAX_CHARS));
        }
        if body.port.is_some_and(|port| !(1..=65_535).contains(&port)) {
            fields.fail_invalid("port", &"it must be from 1 to 65535");
        }
        if fields.sent("paths") && body.paths.as_ref().is_none_or(Vec::is_empty) && !fields.failed("paths") {
            fields.fail_required("paths");
        }
        body
    }
}

/// A list of names, or the text `all`, which is the empty list.
fn databases(fields: &mut Fields) -> Option<Vec<String>> {
    if fields.is_text("databases", "all") {
        fields.string("databases", Presence::Optional);
        return Some(Vec::new());
    }
    fields.strings("databases", Presence::Optional, NAMES_MAX, rules::database_name)
}

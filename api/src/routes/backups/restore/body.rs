//! The body of a restore: read and made a [`RestoreSpec`]. Nothing here asks the database whether what it names exists.

use crate::validation::{Fields, Presence, rules, texts};
use holdfast_domain::paths;
use holdfast_domain::restore::{DatabaseTo, ExistingPolicy, RestoreLayout, RestoreSpec, RestoreTo};
use utoipa::ToSchema;

/// Paths of one restore at most.
const PATHS_MAX: usize = 1_000;
/// Streams of one restore at most.
const STREAMS_MAX: usize = 1_000;
/// Longest name of a database user.
const USERNAME_MAX_CHARS: usize = 128;
/// What only a database takes.
const OF_A_DATABASE: [&str; 4] = ["host", "port", "username", "password"];

/// What to give back, and where to.
#[derive(Default, ToSchema)]
#[schema(as = RestoreRequest)]
pub(crate) struct Body {
    pub(super) target: Option<Target>,
    /// Names; empty = all. A database takes exactly one.
    pub(super) streams: Option<Vec<String>>,
    /// Absolute, as they were on the source; empty = all. A folder means all below it.
    pub(super) paths: Option<Vec<String>>,
    /// `keep_path` (default): `/new/var/www/a`; `contents_only`: `/new/a`.
    pub(super) layout: Option<String>,
    /// What to do with what exists: `refuse` (default), `skip` (of a path), `overwrite`.
    pub(super) existing: Option<String>,
    /// Set owners; needs root there.
    pub(super) restore_owners: Option<bool>,
    /// `<host>:<path>` or `<host>:<database>` with the server's host: only where something existing would be changed.
    pub(super) confirm: Option<String>,
    /// A copy of this backup; by default the best verified one.
    pub(super) copy_id: Option<i64>,
    /// Write-only: of a backup in mode `password`; by default the task's.
    pub(super) password: Option<String>,
    /// Do everything except write to the target.
    pub(super) dry_run: Option<bool>,
}

/// Where to: a path or a database.
#[derive(Default, ToSchema)]
#[schema(as = RestoreRequestTarget)]
pub(crate) struct Target {
    pub(super) remote_server_id: Option<i64>,
    /// Absolute.
    pub(super) path: Option<String>,
    /// One that does not exist, or an existing one with `confirm`.
    pub(super) database: Option<String>,
    /// Where the database server runs, seen from the remote server. With any of host, port, user and password nothing of
    /// the task's or the server's log-in is used.
    pub(super) host: Option<String>,
    pub(super) port: Option<i64>,
    pub(super) username: Option<String>,
    /// Write-only: of the database user.
    pub(super) password: Option<String>,
}

impl Body {
    pub(super) fn read(fields: &mut Fields) -> Self {
        let exact = |raw: &str| Ok::<_, std::convert::Infallible>(raw.to_owned());
        let body = Self {
            target: fields.object("target", Presence::Required, Target::read),
            streams: fields.strings("streams", Presence::Optional, STREAMS_MAX, exact),
            paths: fields.strings("paths", Presence::Optional, PATHS_MAX, paths::absolute),
            layout: fields.one_of("layout", Presence::Optional, &["keep_path", "contents_only"]),
            existing: fields.one_of("existing", Presence::Optional, &["refuse", "skip", "overwrite"]),
            restore_owners: fields.boolean("restore_owners", Presence::Optional),
            confirm: fields.parsed("confirm", Presence::Optional, exact),
            copy_id: fields.integer("copy_id", Presence::Optional),
            password: fields.secret("password", Presence::Optional, false),
            dry_run: fields.boolean("dry_run", Presence::Optional),
        };
        fields.refuse_unknown();
        if body.target.as_ref().is_some_and(|target| target.database.is_some()) {
            body.refuse_what_a_path_takes(fields);
        }
        body
    }

    fn refuse_what_a_path_takes(&self, fields: &mut Fields) {
        let has_paths = self.paths.as_ref().is_some_and(|paths| !paths.is_empty());
        for (field, is_there) in [
            ("paths", has_paths),
            ("layout", self.layout.is_some()),
            ("restore_owners", self.restore_owners == Some(true)),
        ] {
            if is_there {
                fields.fail_invalid(field, &"it goes with target.path only");
            }
        }
        if self.existing.as_deref() == Some("skip") {
            fields.fail_invalid("existing", &"a database is refused or overwritten");
        }
    }

    /// What is to be done; none where the body names no target.
    pub(super) fn spec(&self) -> Option<RestoreSpec> {
        let target = self.target.as_ref()?.to()?;
        // For a database the confirmation alone says that it may exist.
        let is_confirmed = matches!(target, RestoreTo::Database(_)) && self.confirm.is_some();
        Some(RestoreSpec {
            target,
            streams: self.streams.clone().unwrap_or_default(),
            paths: self.paths.clone().unwrap_or_default(),
            layout: match self.layout.as_deref() {
                Some("contents_only") => RestoreLayout::ContentsOnly,
                _ => RestoreLayout::KeepPath,
            },
            existing: match self.existing.as_deref() {
                Some("skip") => ExistingPolicy::Skip,
                Some("overwrite") => ExistingPolicy::Overwrite,
                None if is_confirmed => ExistingPolicy::Overwrite,
                _ => ExistingPolicy::Refuse,
            },
            restore_owners: self.restore_owners.unwrap_or(false),
            dry_run: self.dry_run.unwrap_or(false),
        })
    }
}

impl Target {
    fn read(fields: &mut Fields) -> Self {
        let is_database = fields.filled("database");
        let presence = if is_database { Presence::Optional } else { Presence::Required };
        let target = Self {
            remote_server_id: fields.integer("remote_server_id", Presence::Required),
            path: fields.parsed("path", presence, paths::absolute),
            database: fields.parsed("database", Presence::Optional, rules::database_name),
            host: fields.parsed("host", Presence::Optional, rules::host),
            port: fields.integer("port", Presence::Optional),
            username: fields.string("username", Presence::Optional),
            password: fields.secret("password", Presence::Optional, false),
        };
        fields.refuse_unknown();
        if is_database && target.path.is_some() {
            fields.fail_invalid("database", &"a restore goes to a path or to a database, not to both");
        }
        for field in OF_A_DATABASE {
            if !is_database && fields.filled(field) {
                fields.fail_invalid(field, &"it goes with target.database only");
            }
        }
        if target.username.as_ref().is_some_and(|name| name.chars().count() > USERNAME_MAX_CHARS) {
            fields.fail("username", texts::too_long("target.username", USERNAME_MAX_CHARS));
        }
        if target.port.is_some_and(|port| !(1..=65_535).contains(&port)) {
            fields.fail_invalid("port", &"it must be from 1 to 65535");
        }
        target
    }

    fn to(&self) -> Option<RestoreTo> {
        let Some(database) = self.database.clone() else {
            return Some(RestoreTo::Path { path: self.path.clone()? });
        };
        let own_login =
            self.host.is_some() || self.port.is_some() || self.username.is_some() || self.password.is_some();
        Some(RestoreTo::Database(DatabaseTo {
            database,
            host: self.host.clone(),
            port: self.port.and_then(|port| u16::try_from(port).ok()),
            username: self.username.clone(),
            own_login,
        }))
    }
}

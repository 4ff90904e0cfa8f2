//! What a restore is asked to do, as stored in `restores.spec`. It holds no secret: a password is a sealed column.

use serde::{Deserialize, Serialize};

/// Where and how to give data back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreSpec {
    /// Where to, on the target server.
    #[serde(flatten)]
    pub target: RestoreTo,
    /// Stream names; empty = all.
    #[serde(default)]
    pub streams: Vec<String>,
    /// Absolute paths as they were on the source; empty = all. A folder means all below it.
    #[serde(default)]
    pub paths: Vec<String>,
    /// How the paths lie below a path.
    #[serde(default)]
    pub layout: RestoreLayout,
    /// What to do with what exists.
    #[serde(default)]
    pub existing: ExistingPolicy,
    /// Set owners; needs root there.
    #[serde(default)]
    pub restore_owners: bool,
    /// Do everything except write to the target.
    #[serde(default)]
    pub dry_run: bool,
}

/// What on the target server takes the data: `{"path": …}` or `{"database": …}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum RestoreTo {
    /// A folder.
    Path {
        /// Absolute.
        path: String,
    },
    /// A database.
    Database(DatabaseTo),
}

/// Which database, and where its server is as seen from the target server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseTo {
    /// Its name.
    pub database: String,
    /// Where it runs; none = its local socket, or where the task's runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Its port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Its user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Whether this restore brought a log-in of its own. Then nothing of the task's or the server's goes along with it.
    #[serde(default)]
    pub own_login: bool,
}

/// How the restored paths lie below the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestoreLayout {
    /// `/new` + `/var/www/a` = `/new/var/www/a`.
    #[default]
    KeepPath,
    /// The content of each top path straight into the target: `/new/a`.
    ContentsOnly,
}

/// What to do with what exists at the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExistingPolicy {
    /// The target must not exist (or be an empty folder).
    #[default]
    Refuse,
    /// What exists stays. Only of a folder.
    Skip,
    /// What exists is replaced.
    Overwrite,
}

impl RestoreSpec {
    /// What stands after `<host>:` in the confirmation that something existing may be changed.
    #[must_use]
    pub fn target_name(&self) -> &str {
        match &self.target {
            RestoreTo::Path { path } => path,
            RestoreTo::Database(to) => &to.database,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_was_stored_before_there_were_databases_is_still_understood() {
        let old = json!({
            "path": "/new", "streams": [], "paths": ["/etc"], "layout": "contents_only", "existing": "skip",
            "restore_owners": true, "dry_run": false,
        });
        let spec: RestoreSpec = serde_json::from_value(old.clone()).unwrap();
        assert_eq!(spec.target, RestoreTo::Path { path: "/new".into() });
        assert_eq!((spec.layout, spec.existing), (RestoreLayout::ContentsOnly, ExistingPolicy::Skip));
        assert_eq!(serde_json::to_value(&spec).unwrap(), old);
    }

    #[test]
    fn a_database_is_stored_beside_the_rest_and_comes_back() {
        let to = DatabaseTo {
            database: "shop".into(),
            host: Some("db.internal".into()),
            port: Some(3307),
            username: None,
            own_login: true,
        };
        let spec = RestoreSpec {
            target: RestoreTo::Database(to),
            streams: vec!["shop".into()],
            paths: vec![],
            layout: RestoreLayout::default(),
            existing: ExistingPolicy::Overwrite,
            restore_owners: false,
            dry_run: true,
        };
        let stored = serde_json::to_value(&spec).unwrap();
        assert_eq!(stored["database"], "shop");
        assert_eq!(serde_json::from_value::<RestoreSpec>(stored).unwrap(), spec);
        assert_eq!(spec.target_name(), "shop");
    }

    #[test]
    fn a_target_that_is_neither_is_refused() {
        assert!(serde_json::from_value::<RestoreSpec>(json!({"streams": []})).is_err());
    }
}

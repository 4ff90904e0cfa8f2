//! Names of stored objects. They are made here and found by record; no part of a name is ever parsed or matched.

use crate::ids::BackupTaskId;
use chrono::{DateTime, Utc};

/// What makes an attempt's object names its own.
#[derive(Clone, Debug)]
pub struct ObjectNames<'a> {
    /// The task's `store_path`: relative, already checked by [`is_store_path`].
    pub store_path: Option<&'a str>,
    /// The task's decoration, already checked by [`is_appended_filename`].
    pub appended_filename: Option<&'a str>,
    /// The task.
    pub task: BackupTaskId,
    /// When the run was created.
    pub at: DateTime<Utc>,
    /// The run.
    pub run_ulid: &'a str,
    /// The attempt: a stale worker's objects have another name than its successor's.
    pub epoch: i32,
}

impl ObjectNames<'_> {
    /// `<store_path>/[<appended>_]backup_<task>_<UTC>_<ulid>-<epoch>`.
    #[must_use]
    pub fn base(&self) -> String {
        let mut name = String::new();
        if let Some(path) = self.store_path.map(|p| p.trim_matches('/')).filter(|p| !p.is_empty()) {
            name.push_str(path);
            name.push('/');
        }
        if let Some(appended) = self.appended_filename.filter(|a| !a.is_empty()) {
            name.push_str(appended);
            name.push('_');
        }
        let at = self.at.format("%Y%m%d%H%M%S");
        name.push_str(&format!("backup_{}_{at}_{}-{}", self.task, self.run_ulid, self.epoch));
        name
    }

    /// The object of a stream; `stream` is its position where a backup has several.
    #[must_use]
    pub fn stream(&self, stream: Option<usize>, format: &str, is_encrypted: bool) -> String {
        let position = stream.map(|s| format!(".{s}")).unwrap_or_default();
        let age = if is_encrypted { ".age" } else { "" };
        format!("{}{position}.{format}.zst{age}", self.base())
    }

    /// Object number `part` (the first is 0) of the stream whose first object is called `name`.
    #[must_use]
    pub fn part(name: &str, part: usize) -> String {
        if part == 0 { name.to_owned() } else { format!("{name}.{part:03}") }
    }

    /// The index beside a stream.
    #[must_use]
    pub fn index(&self, stream: Option<usize>, is_encrypted: bool) -> String {
        let position = stream.map(|s| format!(".{s}")).unwrap_or_default();
        let age = if is_encrypted { ".age" } else { "" };
        format!("{}{position}.index.zst{age}", self.base())
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> String {
        format!("{}.manifest.json", self.base())
    }
}

/// A decoration: letters, digits, dot, underscore, dash; not starting with a dot or dash; at most 64 bytes.
#[must_use]
pub fn is_appended_filename(text: &str) -> bool {
    text.len() <= 64
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        && !text.starts_with(['.', '-'])
}

/// A folder below the destination's root: segments of letters, digits, dot, underscore, dash and space, none of them
/// `.` or `..` or starting with a dash, at most 255 bytes. A leading `/` means the root (page 003 writes `/backups`).
#[must_use]
pub fn is_store_path(text: &str) -> bool {
    let segment = |s: &str| {
        !s.is_empty()
            && s != "."
            && s != ".."
            && !s.starts_with(['-', ' '])
            && !s.ends_with(' ')
            && s.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b' '))
    };
    let trimmed = text.strip_prefix('/').unwrap_or(text);
    let trimmed = trimmed.strip_suffix('/').unwrap_or(trimmed);
    text.len() <= 255 && (trimmed.is_empty() || trimmed.split('/').all(segment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_tells_task_time_run_and_attempt() {
        let names = ObjectNames {
            store_path: Some("/backups/"),
            appended_filename: Some("daily"),
            task: BackupTaskId(7),
            at: DateTime::from_timestamp(1_700_000_000, 0).expect("a valid time"),
            run_ulid: "01HXYZ",
            epoch: 2,
        };
        assert_eq!(names.stream(None, "tar", true), "backups/daily_backup_7_20231114221320_01HXYZ-2.tar.zst.age");
        assert_eq!(names.manifest(), "backups/daily_backup_7_20231114221320_01HXYZ-2.manifest.json");
    }

    #[test]
    fn paths_that_could_leave_the_root_are_refused() {
        for bad in ["../x", "a/../b", "a//b", ".", "-x", "a/-b", "a\\b", "a\0b", "%2e%2e/é", "a/./b"] {
            assert!(!is_store_path(bad), "{bad:?}");
        }
        for good in ["/backups", "backups/weekly", "/", "", "a.b_c-d/e f"] {
            assert!(is_store_path(good), "{good:?}");
        }
        for bad in ["../x", "a/b", ".", "a\0b", "-x"] {
            assert!(!is_appended_filename(bad), "{bad:?}");
        }
    }
}

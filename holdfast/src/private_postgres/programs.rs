//! Where Postgres' server programs are. A data folder belongs to one major version; another version's programs would
//! refuse it, so that version is asked for by name.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// Debian's place: one folder a major version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// The folder with `initdb`, `pg_ctl` and `postgres` that fits.
///
/// # Errors
/// They are not installed, or only in another version than `data` (an existing cluster) needs.
pub fn find(data: &Path) -> Result<PathBuf> {
    let version = std::fs::read_to_string(data.join("PG_VERSION")).ok().map(|v| v.trim().to_owned());
    let installed = installed(Path::new(DEBIAN), std::env::var_os("PATH"));
    let chosen = match &version {
        Some(version) => installed.iter().find(|(v, _)| v.as_ref() == Some(version)),
        None => installed.first(),
    };
    // Those in PATH are asked when nothing else fits.
    let fits = |bin: &Path| version.as_ref().is_none_or(|wanted| major_of(bin).as_ref() == Some(wanted));
    let in_path = || installed.iter().find(|(version, bin)| version.is_none() && fits(bin));
    chosen.or_else(in_path).map(|(_, folder)| folder.clone()).with_context(|| match version {
        Some(v) => format!(
            "{} was made by PostgreSQL {v}, whose server programs are not installed: apt-get install postgresql-{v}",
            data.display()
        ),
        None => "PostgreSQL's server programs (initdb, pg_ctl, postgres) are not installed: apt-get install \
                 postgresql; or set DATABASE_URL to use a database elsewhere"
            .to_owned(),
    })
}

/// Newest first; those found by `PATH` last and without a version.
fn installed(debian: &Path, path: Option<std::ffi::OsString>) -> Vec<(Option<String>, PathBuf)> {
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir(debian)
        .map(|entries| {
            let folders = entries.flatten().map(|entry| (entry.file_name(), entry.path().join("bin")));
            let numbered = folders.filter_map(|(name, bin)| Some((name.to_str()?.parse().ok()?, bin)));
            numbered.filter(|(_, bin)| is_complete(bin)).collect()
        })
        .unwrap_or_default();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    let in_path = path.map(|path| std::env::split_paths(&path).collect::<Vec<_>>()).unwrap_or_default();
    let numbered = versions.into_iter().map(|(version, bin)| (Some(version.to_string()), bin));
    numbered.chain(in_path.into_iter().filter(|bin| is_complete(bin)).map(|bin| (None, bin))).collect()
}

/// `postgres (PostgreSQL) 15.18 (Debian …)` → 15.
fn major_of(bin: &Path) -> Option<String> {
    let output = std::process::Command::new(bin.join("postgres")).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (_, rest) = text.split_once("(PostgreSQL) ")?;
    Some(rest.chars().take_while(char::is_ascii_digit).collect())
}

fn is_complete(bin: &Path) -> bool {
    ["initdb", "pg_ctl", "postgres"].iter().all(|program| bin.join(program).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newest_first_and_incomplete_ones_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        for (version, programs) in [("9", 3), ("15", 3), ("17", 3), ("18", 1), ("common", 3)] {
            let bin = dir.path().join(version).join("bin");
            std::fs::create_dir_all(&bin).unwrap();
            for program in ["initdb", "pg_ctl", "postgres"].iter().take(programs) {
                std::fs::write(bin.join(program), "").unwrap();
            }
        }
        let found: Vec<_> = installed(dir.path(), None).into_iter().filter_map(|(version, _)| version).collect();
        assert_eq!(found, ["17", "15", "9"]);
    }

    #[test]
    fn a_cluster_of_a_version_that_is_not_here_names_the_package() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("PG_VERSION"), "42\n").unwrap();
        let error = find(dir.path()).unwrap_err().to_string();
        assert!(error.contains("apt-get install postgresql-42"), "{error}");
    }
}

//! Paths and excludes as a task gives them, made into what tar is told.
//!
//! Excludes: without a `/` a name anywhere; with a leading `/` a whole path; with a `/` inside, the end of a path. `*`,
//! `?` and `[…]` stay within a name, `\` takes the next character as it is. A folder that is excluded takes everything
//! below it along.

use holdfast_domain::source::FilesSpec;
use holdfast_domain::{Failure, FailureCode, Step};

/// An exclude for GNU tar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exclude {
    /// `--anchored` or `--no-anchored`.
    pub(crate) anchor: &'static str,
    /// Without the leading `/`: member names have none.
    pub(crate) pattern: String,
}

/// `spec`'s paths without their leading `/`; the root itself is the empty text.
///
/// # Errors
/// `invalid_config` for no path, a relative one, one with `..` or a NUL.
pub(crate) fn member_paths(spec: &FilesSpec) -> Result<Vec<String>, Failure> {
    let invalid = |what: String| Failure::new(Step::Prepare, FailureCode::InvalidConfig, what);
    if spec.paths.is_empty() {
        return Err(invalid("the task names no path.".to_owned()));
    }
    spec.paths
        .iter()
        .map(|path| member_path(path).ok_or_else(|| invalid(format!("{path:?} is no absolute path."))))
        .collect()
}

/// `path` without its leading `/`, doubled and trailing slashes and single dots; none if it is not absolute or goes up.
pub(crate) fn member_path(path: &str) -> Option<String> {
    if !path.starts_with('/') || path.contains('\0') {
        return None;
    }
    let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty() && *name != ".").collect();
    (!names.contains(&"..")).then(|| names.join("/"))
}

/// What tar is told for `spec`'s excludes.
///
/// # Errors
/// `invalid_config` for an empty one, and for one that would leave out a whole path of the task without a word.
pub(crate) fn excludes(spec: &FilesSpec, paths: &[String]) -> Result<Vec<Exclude>, Failure> {
    let mut list = Vec::new();
    for text in &spec.excludes {
        let invalid =
            |why: &str| Failure::new(Step::Prepare, FailureCode::InvalidConfig, format!("the exclude {text:?} {why}."));
        let trimmed = text.trim_end_matches('/');
        let (anchor, pattern) = match trimmed.strip_prefix('/') {
            Some(rest) => ("--anchored", rest.trim_start_matches('/')),
            None => ("--no-anchored", trimmed),
        };
        if pattern.is_empty() || text.contains('\0') {
            return Err(invalid("names nothing"));
        }
        if let Some(path) = paths.iter().find(|path| leaves_out(anchor, pattern, path)) {
            return Err(invalid(&format!("leaves out the whole path /{path}")));
        }
        list.push(Exclude { anchor, pattern: pattern.to_owned() });
        // The names of a backup of `/` begin with `./`.
        if anchor == "--anchored" && paths.iter().any(String::is_empty) {
            list.push(Exclude { anchor, pattern: format!("./{pattern}") });
        }
    }
    Ok(list)
}

/// Whether tar would skip `path` itself or a folder above it.
fn leaves_out(anchor: &str, pattern: &str, path: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('/').collect();
    let names: Vec<&str> = path.split('/').filter(|n| !n.is_empty()).collect();
    let starts = if anchor == "--anchored" { 0..=0 } else { 0..=names.len().saturating_sub(pattern.len()) };
    names.len() >= pattern.len()
        && starts
            .into_iter()
            .any(|at| pattern.iter().zip(&names[at..]).all(|(p, n)| matches_name(p.as_bytes(), n.as_bytes())))
}

/// fnmatch within one name. Brackets count as "any character": this only has to err on the side of refusing.
fn matches_name(pattern: &[u8], name: &[u8]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some((b'*', rest)) => (0..=name.len()).any(|skip| matches_name(rest, &name[skip..])),
        Some((b'?', rest)) => !name.is_empty() && matches_name(rest, &name[1..]),
        Some((b'[', rest)) if rest.contains(&b']') => {
            let end = rest.iter().skip(1).position(|b| *b == b']').map_or(0, |p| p + 2).min(rest.len());
            !name.is_empty() && matches_name(&rest[end..], &name[1..])
        }
        Some((b'\\', rest)) if !rest.is_empty() => name.first() == rest.first() && matches_name(&rest[1..], &name[1..]),
        Some((byte, rest)) => name.first() == Some(byte) && matches_name(rest, &name[1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(paths: &[&str], excludes: &[&str]) -> FilesSpec {
        let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
        FilesSpec { paths: owned(paths), excludes: owned(excludes), one_file_system: true, sparse: false }
    }

    fn told(paths: &[&str], list: &[&str]) -> Result<Vec<(&'static str, String)>, Failure> {
        let spec = spec(paths, list);
        let paths = member_paths(&spec)?;
        Ok(excludes(&spec, &paths)?.into_iter().map(|e| (e.anchor, e.pattern)).collect())
    }

    #[test]
    fn paths_lose_their_slashes_and_may_not_go_up() {
        assert_eq!(
            member_paths(&spec(&["/", "//srv//data/", "/a/./b", "/-rf"], &[])).unwrap(),
            ["", "srv/data", "a/b", "-rf"]
        );
        for bad in ["", "srv", "../etc", "/srv/../etc", "/a\0b", "--checkpoint-action=exec=id"] {
            assert_eq!(member_paths(&spec(&[bad], &[])).unwrap_err().code, FailureCode::InvalidConfig, "{bad:?}");
        }
        assert!(member_paths(&spec(&[], &[])).is_err());
    }

    #[test]
    fn a_leading_slash_anchors_and_nothing_else_does() {
        let told = told(&["/srv"], &["*.log", "/srv/cache/", "tmp/x"]).unwrap();
        let expected = [("--no-anchored", "*.log"), ("--anchored", "srv/cache"), ("--no-anchored", "tmp/x")];
        assert_eq!(told, expected.map(|(a, p)| (a, p.to_owned())));
    }

    #[test]
    fn an_exclude_that_would_silently_leave_out_a_whole_path_is_refused() {
        for silent in ["cache", "c*", "/srv", "/srv/cache", "srv/cache", "/s?v/[abc]ache", "data", "*"] {
            assert!(told(&["/srv/cache/data"], &[silent]).is_err(), "{silent}");
        }
        for fine in ["cache2", "/srv/cache/data/x", "/cache", "data/x", "*.log", "\\cdata"] {
            let result = told(&["/srv/cache/data"], &[fine]);
            assert!(result.is_ok() || fine == "\\cdata", "{fine}: {result:?}");
        }
        for nothing in ["", "/", "a\0"] {
            assert!(told(&["/srv"], &[nothing]).is_err(), "{nothing:?}");
        }
    }
}

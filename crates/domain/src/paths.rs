//! Paths on a server and exclude rules. A path is bytes to the server: nothing is normalised but slashes, every byte
//! except NUL is taken, newlines too. It travels as data and is used after `--`, so its content is harmless.

/// Linux' `PATH_MAX`.
const PATH_MAX_BYTES: usize = 4096;
/// Top paths of one task at most.
pub const PATHS_MAX: usize = 100;
/// Exclude rules of one task at most.
pub const EXCLUDES_MAX: usize = 500;

/// Why a text is no path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathProblem {
    /// It does not start with a slash.
    #[error("it must be absolute: start it with /")]
    NotAbsolute,
    /// It has a NUL byte.
    #[error("it has a NUL character")]
    Nul,
    /// More than 4096 bytes.
    #[error("it may have at most {PATH_MAX_BYTES} bytes")]
    TooLong,
    /// It has a `..`.
    #[error("it may not have .. in it: what it means depends on links on the server")]
    DotDot,
}

/// The path with single slashes, without `.` and without a final slash.
///
/// # Errors
/// See [`PathProblem`].
pub fn absolute(raw: &str) -> Result<String, PathProblem> {
    if raw.contains('\0') {
        return Err(PathProblem::Nul);
    }
    if raw.len() > PATH_MAX_BYTES {
        return Err(PathProblem::TooLong);
    }
    if !raw.starts_with('/') {
        return Err(PathProblem::NotAbsolute);
    }
    let parts: Vec<&str> = raw.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    // tar would cut the name at the `..`, so what is stored would not be what was named.
    if parts.contains(&"..") {
        return Err(PathProblem::DotDot);
    }
    Ok(format!("/{}", parts.join("/")))
}

/// Why a text is no exclude rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExcludeProblem {
    /// Nothing there.
    #[error("it is empty")]
    Empty,
    /// It has a NUL byte.
    #[error("it has a NUL character")]
    Nul,
    /// More than 4096 bytes.
    #[error("it may have at most {PATH_MAX_BYTES} bytes")]
    TooLong,
    /// A slash inside and none in front.
    #[error("give one name (matched anywhere) or a whole path that starts with /")]
    NotAnchored,
    /// It would leave nothing.
    #[error("it would exclude everything")]
    Everything,
    /// It has a `..` or `.` part, which matches nothing.
    #[error("it may not have . or .. as a part")]
    Dots,
}

/// An exclude rule without its final slash: no `/` = a name anywhere, a leading `/` = anchored, `*` within a name.
///
/// # Errors
/// See [`ExcludeProblem`].
pub fn exclude(raw: &str) -> Result<String, ExcludeProblem> {
    if raw.contains('\0') {
        return Err(ExcludeProblem::Nul);
    }
    if raw.len() > PATH_MAX_BYTES {
        return Err(ExcludeProblem::TooLong);
    }
    if raw.is_empty() {
        return Err(ExcludeProblem::Empty);
    }
    let rule = raw.trim_end_matches('/');
    if rule.is_empty() || rule.trim_start_matches('/').bytes().all(|b| b == b'*') {
        return Err(ExcludeProblem::Everything);
    }
    if rule.contains('/') && !rule.starts_with('/') {
        return Err(ExcludeProblem::NotAnchored);
    }
    if rule.split('/').any(|part| matches!(part, "." | "..")) {
        return Err(ExcludeProblem::Dots);
    }
    let parts: Vec<&str> = rule.split('/').filter(|part| !part.is_empty()).collect();
    let lead = if rule.starts_with('/') { "/" } else { "" };
    Ok(format!("{lead}{}", parts.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn odd_names_are_taken_byte_by_byte() {
        for path in [
            "/",
            "/var/www",
            "/a b",
            "/a\nb",
            "/-rf",
            "/--checkpoint-action=exec=x",
            "/$(x)`y`'\"",
            "/e\u{301}",
            "/\u{202e}x",
            "/..a",
        ] {
            assert_eq!(absolute(path).as_deref(), Ok(path));
        }
        assert_eq!(absolute("//var/./www//").as_deref(), Ok("/var/www"));
    }

    #[test]
    fn what_is_no_absolute_path_is_refused() {
        let long = format!("/{}", "x".repeat(4096));
        for (raw, problem) in [
            ("", PathProblem::NotAbsolute),
            ("var", PathProblem::NotAbsolute),
            ("-C /", PathProblem::NotAbsolute),
            ("/a\0b", PathProblem::Nul),
            ("/a/../b", PathProblem::DotDot),
            ("/..", PathProblem::DotDot),
            (long.as_str(), PathProblem::TooLong),
        ] {
            assert_eq!(absolute(raw), Err(problem), "{raw:?}");
        }
    }

    #[test]
    fn an_exclude_is_a_name_or_an_anchored_path() {
        for (raw, rule) in
            [("*.tmp", "*.tmp"), ("node_modules/", "node_modules"), ("/var//cache/", "/var/cache"), ("-x", "-x")]
        {
            assert_eq!(exclude(raw).as_deref(), Ok(rule));
        }
        for raw in ["", "/", "*", "/*", "**", "a/b", "a\0b", "/a/../b", "."] {
            assert!(exclude(raw).is_err(), "{raw:?}");
        }
    }

    proptest! {
        #[test]
        fn accepted_paths_and_rules_are_canonical(raw in "(/|\\.|\\.\\.|a|\\*| |\n|-){0,12}") {
            if let Ok(path) = absolute(&raw) {
                prop_assert_eq!(absolute(&path), Ok(path.clone()));
            }
            if let Ok(rule) = exclude(&raw) {
                prop_assert_eq!(exclude(&rule), Ok(rule.clone()));
            }
        }
    }
}

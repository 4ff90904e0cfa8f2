//! How a program and its variables travel: the `exec` string is one constant, line 1 of standard input is the program,
//! and each further line is one field, all in base64. A login shell (dash, bash, busybox, fish, tcsh) therefore never
//! parses anything that varies, and no process list ever shows it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

/// The only thing ever sent as a command. Not `sh -s`: dash reads ahead, and fields were run as commands.
pub(crate) const EXEC: &str = r#"exec /bin/sh -c 'IFS= read -r p; eval "$(printf %s "$p" | base64 -d)"'"#;

/// What every program begins with.
///
/// `field` reads the next field into `v`, byte for byte: the `x` keeps trailing newlines from being eaten. `pid`, `started`
/// and `leads` name this process; they go out as the first line on standard error, for the check after a cancel. `leads`
/// is 1 where we lead our process group and may kill it whole: some servers (dropbear) start programs in their own group.
/// `die_with_input` and `rest` surround what a backup runs.
const PRELUDE: &str = include_str!("prelude.sh");

/// What `program` and its `fields` are on standard input. Public so that tests can give it to other shells.
#[must_use]
pub fn opening(program: &str, fields: &[&[u8]]) -> Bytes {
    let mut text = String::with_capacity(PRELUDE.len() + program.len());
    for line in PRELUDE.lines().chain(program.lines()) {
        // The comments are for whoever reads the source; the server does not need to read them byte by byte.
        let trimmed = line.trim_start();
        if !trimmed.is_empty() && !trimmed.starts_with('#') {
            text.push_str(trimmed);
            text.push('\n');
        }
    }
    let mut lines = STANDARD.encode(text);
    for field in fields {
        lines.push('\n');
        STANDARD.encode_string(field, &mut lines);
    }
    lines.push('\n');
    Bytes::from(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_varies_is_in_the_command() {
        assert!(EXEC.is_ascii() && !EXEC.contains('\n'));
        let sent = opening("# why\n  echo hi\n", &[b"$(touch x)\n`id`"]);
        let lines: Vec<&[u8]> = sent.split(|b| *b == b'\n').collect();
        assert_eq!(lines.len(), 3, "program, field, nothing after the last line end");
        let program = STANDARD.decode(lines[0]).unwrap();
        assert!(program.ends_with(b"echo hi\n") && !program.windows(5).any(|w| w == b"# why"));
        assert_eq!(STANDARD.decode(lines[1]).unwrap(), b"$(touch x)\n`id`");
    }
}

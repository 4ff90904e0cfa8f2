//! Whether a program on the server is really gone.
//!
//! A program there ends when its standard input does (its watcher kills its process group); this looks on a new connection
//! whether that happened, and kills what is left.

use crate::connection::Connection;
use crate::{Event, Session};
use std::time::Duration;

/// Waits for the group to be gone, asks it to end, kills it.
const CONFIRM: &str = include_str!("confirm.sh");

/// For connecting and for dying after the kill.
const CONFIRM_EXTRA: Duration = Duration::from_secs(5);

/// What a cancel achieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Termination {
    /// A check on the server saw that no process of the program is left.
    pub process_terminated: bool,
}

/// A program's process on the server, as its first line on standard error names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteProcess {
    /// Its process id.
    pub pid: u32,
    /// When it started, in the server's own units (`-` where there is no /proc); with the pid it names one process.
    pub started: String,
    /// Whether it leads its process group.
    pub leads: bool,
}

impl RemoteProcess {
    /// Reads the line `holdfast:pid PID START LEADS` out of what came on standard error so far.
    pub(crate) fn find(stderr: &[u8]) -> Option<Self> {
        // Only whole lines: half a number is another number.
        let whole = &stderr[..stderr.iter().rposition(|b| *b == b'\n')?];
        let line = whole.split(|b| *b == b'\n').find_map(|line| line.strip_prefix(b"holdfast:pid "))?;
        let mut words = std::str::from_utf8(line).ok()?.split(' ');
        let pid = words.next()?.parse().ok()?;
        let started = words.next().filter(|s| *s == "-" || s.bytes().all(|b| b.is_ascii_digit()))?.to_owned();
        Some(Self { pid, started, leads: words.next()? == "1" })
    }
}

/// Looks on a new connection whether `process` is gone, and kills it if it stays.
pub(crate) async fn confirm(connection: &Connection, process: &RemoteProcess, grace: Duration) -> Termination {
    let check = tokio::time::timeout(grace + grace / 2 + CONFIRM_EXTRA, check(connection, process, grace));
    Termination { process_terminated: check.await.unwrap_or(false) }
}

async fn check(connection: &Connection, process: &RemoteProcess, grace: Duration) -> bool {
    let Ok(mut session) = Session::connect_with(&connection.guard, connection.again(), connection.timing).await else {
        return false;
    };
    let pid = process.pid.to_string();
    let seconds = grace.as_secs().to_string();
    let leads: &[u8] = if process.leads { b"1" } else { b"0" };
    let fields: [&[u8]; 4] = [pid.as_bytes(), process.started.as_bytes(), leads, seconds.as_bytes()];
    let Ok(mut running) = session.start(CONFIRM, &fields).await else { return false };
    loop {
        match running.next().await {
            Ok(Event::Exited(status)) => return status == 0,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_is_found_behind_a_login_shells_own_words() {
        let found = RemoteProcess::find(b"motd\nholdfast:pid 42 123456 1\ntar: x").unwrap();
        assert_eq!(found, RemoteProcess { pid: 42, started: "123456".into(), leads: true });
        for not_whole in [&b"holdfast:pid 42 123456 1"[..], b"", b"holdfast:pid x 1 1\n", b"holdfast:pid 4 $(id) 1\n"] {
            assert_eq!(RemoteProcess::find(not_whole), None);
        }
    }

    #[test]
    fn every_sh_sees_a_group_that_lives_and_ends_it() {
        use std::io::Write as _;
        use std::os::unix::process::CommandExt as _;
        use std::process::{Command, Stdio};
        let first = r#"IFS= read -r p; eval "$(printf %s "$p" | base64 -d)""#;
        for sh in [&["dash"][..], &["bash", "--posix"], &["busybox", "sh"]] {
            let mut group = Command::new("sleep").arg("1000").process_group(0).spawn().unwrap();
            let pid = group.id().to_string();
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
            let started = stat.rsplit(") ").next().unwrap().split(' ').nth(19).unwrap().to_owned();
            let input = crate::opening(CONFIRM, &[pid.as_bytes(), started.as_bytes(), b"1", b"0"]);
            let mut check =
                Command::new(sh[0]).args(&sh[1..]).args(["-c", first]).stdin(Stdio::piped()).spawn().unwrap();
            check.stdin.take().unwrap().write_all(&input).unwrap();
            assert!(check.wait().unwrap().success(), "{sh:?}");
            // A signal ended it; a check that mistook it for gone would leave this to wait for ever.
            assert_eq!(group.try_wait().unwrap().and_then(|status| status.code()), None, "{sh:?}");
            assert!(group.try_wait().unwrap().is_some(), "{sh:?}");
        }
    }
}

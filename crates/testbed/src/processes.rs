//! What the kernel says of running processes: who started whom, processor time, peak memory, bytes written. It only
//! reads `/proc`.

use anyhow::{Context, Result};
use std::fs;

/// `/proc` counts processor time in hundredths of a second, whatever the kernel's own clock does (USER_HZ).
const TICKS_PER_SECOND: f64 = 100.0;

/// One process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its parent's.
    pub parent: u32,
    /// Its arguments, the program first.
    pub arguments: Vec<String>,
}

/// Every process that can be seen now.
///
/// # Errors
/// There is no `/proc`.
pub fn all() -> Result<Vec<Process>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("cannot read /proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // It may be gone by now.
        if let (Ok(parent), Ok(arguments)) = (stat(pid, 1), fs::read(format!("/proc/{pid}/cmdline"))) {
            let arguments = arguments
                .split(|byte| *byte == 0)
                .filter(|argument| !argument.is_empty())
                .map(|argument| String::from_utf8_lossy(argument).into_owned())
                .collect();
            found.push(Process { pid, parent: u32::try_from(parent)?, arguments });
        }
    }
    Ok(found)
}

/// `root` and every process that comes from it.
///
/// # Errors
/// As [`all`].
pub fn family(root: u32) -> Result<Vec<Process>> {
    let all = all()?;
    let mut pids = vec![root];
    let mut at = 0;
    while at < pids.len() {
        let parent = pids[at];
        pids.extend(all.iter().filter(|process| process.parent == parent).map(|process| process.pid));
        at += 1;
    }
    Ok(all.into_iter().filter(|process| pids.contains(&process.pid)).collect())
}

/// Seconds of processor time, user and system, of a process and of its children that have ended and were waited for.
///
/// # Errors
/// It is gone.
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    let ticks = (11..=14).map(|field| stat(pid, field)).sum::<Result<u64>>()?;
    Ok(ticks as f64 / TICKS_PER_SECOND)
}

/// The most memory it ever held at once, in KiB (`VmHWM`).
///
/// # Errors
/// It is gone.
pub fn peak_memory_kib(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("the process is gone")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    line.trim().trim_end_matches(" kB").trim().parse().context("VmHWM is no number")
}

/// Bytes it sent to a file system's storage so far (`write_bytes`); needs the same user or root.
///
/// # Errors
/// It is gone, or is somebody else's.
pub fn written_bytes(pid: u32) -> Result<u64> {
    let io = fs::read_to_string(format!("/proc/{pid}/io")).context("cannot read what the process wrote")?;
    let line = io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).context("no write_bytes")?;
    line.trim().parse().context("write_bytes is no number")
}

/// Field of `/proc/<pid>/stat`, counted from the state, which is 0: the name before it may hold spaces and brackets.
fn stat(pid: u32, field: usize) -> Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).context("the process is gone")?;
    let (_, fields) = text.rsplit_once(") ").context("an unknown form of /proc/*/stat")?;
    fields.split_whitespace().nth(field).context("a short /proc/*/stat")?.parse().context("a field is no number")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_child_is_found_and_measured() {
        let mut child = Command::new("sh")
            .args(["-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; read -r _"])
            .stdin(Stdio::piped())
            .spawn()
            .expect("a shell");
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while cpu_seconds(child.id()).expect("its time") < 0.02 && std::time::Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert!(cpu_seconds(child.id()).expect("its time") >= 0.02);
        assert!(peak_memory_kib(child.id()).expect("its memory") > 100);
        let family = family(std::process::id()).expect("processes");
        let found = family.iter().find(|process| process.pid == child.id()).expect("the child");
        assert_eq!((found.parent, found.arguments[0].as_str()), (std::process::id(), "sh"));
        drop(child.stdin.take());
        child.wait().expect("it ended");
    }
}

//! What a process and its children write to files, as the kernel is asked for it: seen by `strace`, so nothing is missed
//! that a look at the disk afterwards would not find any more. (A file that is mapped and written in memory shows as
//! opened for writing.)

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const CALLS: &str =
    "trace=open,creat,openat,openat2,write,pwrite64,writev,pwritev,pwritev2,sendfile,copy_file_range,splice";
/// How long strace may take to attach to every thread.
const ATTACH_LIMIT: Duration = Duration::from_secs(10);

/// A running look at one process and everything it starts from now on.
pub struct Watch {
    strace: Child,
    seen: PathBuf,
}

/// Bytes written by path. A file that was opened for writing is there with zero bytes at least.
pub type Written = BTreeMap<String, u64>;

impl Watch {
    /// Attaches to `pid`; `seen` is a new file for strace's words.
    ///
    /// # Errors
    /// There is no strace, or it may not attach.
    pub fn start(pid: u32, seen: PathBuf) -> Result<Self> {
        let strace = Command::new("strace")
            .args(["-f", "-y", "-qq", "-s", "0", "-e", CALLS, "-e", "signal=none", "-o"])
            .arg(&seen)
            .args(["-p", &pid.to_string()])
            .stdin(Stdio::null())
            .spawn()
            .context("starting strace")?;
        let mut watch = Self { strace, seen };
        let until = Instant::now() + ATTACH_LIMIT;
        while !is_traced(pid) {
            ensure!(
                watch.strace.try_wait()?.is_none() && Instant::now() < until,
                "strace cannot attach to process {pid}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(watch)
    }

    /// Ends looking.
    ///
    /// # Errors
    /// A line of strace is not understood.
    pub fn stop(mut self) -> Result<Written> {
        let pid = i32::try_from(self.strace.id()).ok().and_then(Pid::from_raw).context("a process id")?;
        kill_process(pid, Signal::INT)?;
        self.strace.wait()?;
        let text = std::fs::read(&self.seen)?;
        written(&String::from_utf8_lossy(&text))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.strace.kill();
        let _ = self.strace.wait();
    }
}

/// Whether every thread has a tracer.
fn is_traced(pid: u32) -> bool {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    threads.flatten().all(|thread| {
        let status = std::fs::read_to_string(thread.path().join("status")).unwrap_or_default();
        status.lines().any(|line| line.strip_prefix("TracerPid:").is_some_and(|tracer| tracer.trim() != "0"))
    })
}

fn written(text: &str) -> Result<Written> {
    let mut found = Written::new();
    for line in text.lines() {
        let Some((call, rest)) = line.split_once(' ').and_then(|(_, line)| line.trim_start().split_once('(')) else {
            continue;
        };
        if call.starts_with("open") || call == "creat" {
            if let Some(path) = opened(call, rest) {
                found.entry(path).or_default();
            }
        } else if let Some(path) = target(call, rest).filter(|path| path.starts_with('/')) {
            *found.entry(path.to_owned()).or_default() += bytes(rest).with_context(|| line.to_owned())?;
        }
    }
    Ok(found)
}

/// The path of a call that opens for writing and did not fail.
fn opened(call: &str, rest: &str) -> Option<String> {
    let is_for_writing =
        call == "creat" || ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TMPFILE"].iter().any(|flag| rest.contains(flag));
    if !is_for_writing || rest.contains(" = -1 ") {
        return None;
    }
    if let Some((_, result)) = rest.rsplit_once(" = ") {
        return Some(between(result, '<', '>')?.to_owned());
    }
    // It was interrupted by another thread's line; the arguments say it too.
    let folder = between(rest, '<', '>').unwrap_or("/");
    Some(Path::new(folder).join(between(rest, '"', '"')?).display().to_string())
}

/// The file that is written to: the first descriptor, but the second one of calls that copy between two.
fn target<'a>(call: &str, rest: &'a str) -> Option<&'a str> {
    let position = if matches!(call, "splice" | "copy_file_range") { 1 } else { 0 };
    rest.split('<').nth(position + 1)?.split('>').next()
}

/// What went out; of an interrupted line what was asked for.
fn bytes(rest: &str) -> Option<u64> {
    if let Some((_, result)) = rest.rsplit_once(" = ") {
        let result = result.split_whitespace().next()?;
        return Some(result.parse::<i64>().unwrap_or(0).max(0).unsigned_abs());
    }
    let asked = rest.strip_suffix("<unfinished ...>")?.trim_end();
    // `writev` ends with a count of pieces; their lengths stand before it.
    if asked.contains("iov_len=") {
        let lengths = asked.split("iov_len=").skip(1);
        return Some(
            lengths.filter_map(|text| text.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()).sum(),
        );
    }
    let mut numbers = asked.rsplit(", ").filter_map(|text| text.parse::<u64>().ok());
    numbers.next()
}

fn between(text: &str, from: char, to: char) -> Option<&str> {
    text.split_once(from)?.1.split(to).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_seen_with_its_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let (go, out) = (folder.path().join("go"), folder.path().join("out"));
        let script =
            "while [ ! -e \"$1\" ]; do sleep 0.01; done; sh -c 'printf 12345 > \"$1\"' sh \"$2\"; printf x >&2";
        let child = Command::new("sh").args(["-c", script, "sh"]).arg(&go).arg(&out).stderr(Stdio::piped()).spawn();
        let mut child = child.expect("a shell");
        let watch = Watch::start(child.id(), folder.path().join("seen")).expect("strace attaches");
        std::fs::write(&go, "").expect("a file");
        child.wait().expect("it ends");
        let written = watch.stop().expect("understood");
        assert_eq!(written.get(&out.display().to_string()), Some(&5), "{written:?}");
        assert_eq!(written.len(), 1, "{written:?}");
    }

    #[test]
    fn interrupted_and_failed_calls_are_read_too() {
        let text = "1 openat(AT_FDCWD</w>, \"a/b\", O_WRONLY|O_CREAT <unfinished ...>\n\
                    2 write(5</x>, \"\"..., 70 <unfinished ...>\n\
                    1 openat2(5</r>, \"t.part\", {flags=O_WRONLY|O_CREAT}, 24) = 7</r/t.part>\n\
                    1 openat(AT_FDCWD</w>, \"no\", O_WRONLY) = -1 ENOENT (No such file)\n\
                    1 openat(AT_FDCWD</w>, \"in\", O_RDONLY) = 3</w/in>\n\
                    2 write(5<socket:[1]>, \"\"..., 9) = 9\n\
                    2 write(5</x>, \"\"..., 9) = -1 EAGAIN (again)\n\
                    2 splice(5<pipe:[1]>, NULL, 6</y>, NULL, 9, 0) = 4\n";
        let expected = [("/w/a/b", 0), ("/x", 70), ("/r/t.part", 0), ("/y", 4)];
        let expected: Written = expected.iter().map(|(path, bytes)| ((*path).to_owned(), *bytes)).collect();
        assert_eq!(written(text).expect("understood"), expected);
    }
}

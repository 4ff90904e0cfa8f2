//! Where a secret could turn up, and the search.

use super::Sweep;
use crate::support::files;
use anyhow::{Context, Result, ensure};
use holdfast_testbed::processes;
use holdfast_testbed::sshd::Sshd;
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

/// Processes live shorter than this are seen by [`Customer`], which misses none.
const SAMPLE_EVERY: Duration = Duration::from_millis(10);
/// Larger files in the folders of everybody are somebody else's.
const FOREIGN_MAX_BYTES: u64 = 32 << 20;

/// The one variable that carries a secret, and only on the customer's server, where its own user and root alone can read it:
/// libpq takes a password from there or from a file, never from a descriptor.
const LIBPQ: &str = "PGPASSWORD=";

/// A marker that was found.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// The secret's name.
    pub marker: String,
    /// The file.
    pub place: String,
}

/// The files to search.
pub struct Places {
    own: PathBuf,
    control: PathBuf,
    since: SystemTime,
}

impl Places {
    /// From now on.
    pub fn new(folder: &Path) -> Result<Self> {
        let own = folder.join("sweep");
        fs::create_dir(&own)?;
        let control = std::env::temp_dir().join(format!("hf-control-in-tmp-{}", std::process::id()));
        // Files' times come from a coarser clock, a little behind.
        Ok(Self { own, control, since: SystemTime::now() - Duration::from_secs(1) })
    }

    /// A file of the test's own, searched as well.
    pub fn own_file(&self, name: &str) -> PathBuf {
        self.own.join(name)
    }

    /// A file in the folder of everybody that must be found.
    pub fn temporary_control(&self) -> &Path {
        &self.control
    }

    /// Searches them all.
    pub fn search(&self, sweep: &Sweep) -> Result<Vec<Hit>> {
        let kek = sweep.site.product.data_dir().join("kek");
        let mut places = files(sweep.site.folder())?;
        places.retain(|path| *path != kek);
        places.extend(files(sweep.site.sshd.dir())?);
        places.extend(files(sweep.user.home())?);
        places.extend(files(sweep.isolated.home())?);
        for everybodys in ["/tmp", "/var/tmp", "/dev/shm", "/run"] {
            places.extend(self.recent(Path::new(everybodys)));
        }
        let searched = grep(&sweep.markers.forms(), &places);
        fs::remove_file(&self.control)?;
        searched
    }

    /// Files written since the beginning. Others make and remove files there all the time: what is gone is no error.
    fn recent(&self, root: &Path) -> Vec<PathBuf> {
        let (mut found, mut left) = (Vec::new(), vec![root.to_owned()]);
        // Somebody's chroot lies there with a /proc of its own, and a dead network mount never answers.
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let mounts: HashSet<&Path> = mounts.lines().filter_map(|line| line.split(' ').nth(4)).map(Path::new).collect();
        while let Some(folder) = left.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                if mounts.contains(entry.path().as_path()) {
                    continue;
                }
                let Ok(meta) = entry.path().symlink_metadata() else { continue };
                let is_recent = meta.modified().is_ok_and(|time| time >= self.since);
                if meta.is_dir() {
                    left.push(entry.path());
                } else if meta.is_file() && is_recent && meta.len() <= FOREIGN_MAX_BYTES {
                    found.push(entry.path());
                }
            }
        }
        found
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.control);
    }
}

/// The texts go in through a pipe: as arguments they would be found by other sweeps.
fn grep(forms: &BTreeMap<String, &'static str>, places: &[PathBuf]) -> Result<Vec<Hit>> {
    let mut found = HashSet::new();
    let patterns: String = forms.keys().fold(String::new(), |all, form| all + form + "\n");
    for some in places.chunks(500) {
        let mut grep = Command::new("grep")
            .args([
                "--only-matching",
                "--with-filename",
                "--text",
                "--fixed-strings",
                "--no-messages",
                "--null",
                "--file=-",
                "--",
            ])
            .args(some)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .env("LC_ALL", "C")
            .spawn()?;
        grep.stdin.take().context("no input")?.write_all(patterns.as_bytes())?;
        let printed = grep.wait_with_output()?;
        for line in String::from_utf8_lossy(&printed.stdout).lines() {
            let (place, text) = line.split_once('\0').context("a strange line of grep")?;
            let marker = forms.get(text).copied().unwrap_or("?").to_owned();
            found.insert((marker, place.to_owned()));
        }
    }
    let mut found: Vec<Hit> = found.into_iter().map(|(marker, place)| Hit { marker, place }).collect();
    found.sort();
    Ok(found)
}

/// Looks at the arguments and environments of all other processes, again and again.
pub struct Processes {
    stop: Arc<AtomicBool>,
    watcher: JoinHandle<Vec<u8>>,
}

impl Processes {
    /// From now on.
    pub fn watch() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let watcher = std::thread::spawn(move || {
            let (mut known, mut seen) = (HashSet::new(), Vec::new());
            while !stopped.load(Ordering::Relaxed) {
                look(&mut known, &mut seen);
                std::thread::sleep(SAMPLE_EVERY);
            }
            seen
        });
        Self { stop, watcher }
    }

    /// Everything that was seen.
    pub fn stop(self) -> Vec<u8> {
        self.stop.store(true, Ordering::Relaxed);
        self.watcher.join().expect("the watcher does not panic")
    }
}

fn look(known: &mut HashSet<(u32, Vec<String>)>, seen: &mut Vec<u8>) {
    let own = rustix::process::geteuid().as_raw();
    for process in processes::all().unwrap_or_default() {
        if process.pid == std::process::id() || !known.insert((process.pid, process.arguments.clone())) {
            continue;
        }
        seen.extend_from_slice(format!("\n{} {:?}\n", process.pid, process.arguments).as_bytes());
        let environment = fs::read(format!("/proc/{}/environ", process.pid)).unwrap_or_default();
        let is_ours = fs::metadata(format!("/proc/{}", process.pid)).is_ok_and(|dir| dir.uid() == own);
        for variable in environment.split(|byte| *byte == 0) {
            if is_ours || !variable.starts_with(LIBPQ.as_bytes()) {
                seen.extend_from_slice(variable);
                seen.push(0);
            }
        }
    }
}

/// A line of strace without the one variable: `execve("…", [arguments], [environment]) = 0`.
fn without_libpq(line: &str) -> String {
    let Some((arguments, environment)) = line.split_once("], [") else { return line.to_owned() };
    let variables = environment.split("\", \"").filter(|one| !one.trim_start_matches('"').starts_with(LIBPQ));
    format!("{arguments}], [{}", variables.collect::<Vec<_>>().join("\", \""))
}

/// Every program that the customer's server starts, with arguments and environment, however short it lives.
pub struct Customer {
    strace: Child,
    seen: PathBuf,
}

impl Customer {
    /// From now on.
    pub fn watch(sshd: &Sshd, folder: &Path) -> Result<Self> {
        let seen = folder.join("sweep/executed");
        let strace = Command::new("strace")
            .args(["-f", "-qq", "-v", "-s", "65536", "-e", "trace=execve", "-e", "signal=none", "-o"])
            .arg(&seen)
            .args(["-p", &sshd.listener_pid()?.to_string()])
            .stdin(Stdio::null())
            .spawn()
            .context("starting strace")?;
        Ok(Self { strace, seen })
    }

    /// Ends watching.
    pub fn stop(mut self) -> Result<()> {
        let pid = i32::try_from(self.strace.id()).ok().and_then(rustix::process::Pid::from_raw).context("an id")?;
        rustix::process::kill_process(pid, rustix::process::Signal::INT)?;
        self.strace.wait()?;
        let text = fs::read_to_string(&self.seen)?;
        ensure!(text.contains("\"--format=posix\""), "strace saw no tar: {text:.300}");
        let lines: Vec<_> = text.lines().map(without_libpq).collect();
        fs::write(&self.seen, lines.join("\n"))?;
        Ok(())
    }
}

impl Drop for Customer {
    fn drop(&mut self) {
        let _ = self.strace.kill();
        let _ = self.strace.wait();
    }
}

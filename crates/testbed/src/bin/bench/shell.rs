//! The other side: the shell pipeline that somebody careful would type, with the same tar flags, the same encryption
//! and the same fsync, over the system's `ssh`.

use crate::figures::Measured;
use crate::session::{Bench, USER};
use anyhow::{Context, Result, ensure};
use holdfast_testbed::sshd::{Sshd, key_pair};
use std::fs;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What the product runs on the server too.
pub(crate) const TAR: &str = "LC_ALL=C tar --format=posix --xattrs --acls --numeric-owner --one-file-system --sort=name \
                              --ignore-failed-read -cf - -P --";

/// A server that the system's `ssh` may log in to, and the options that take it there.
pub(crate) struct Shell {
    folder: PathBuf,
    recipient: String,
    pub(crate) sshd: Sshd,
}

impl Shell {
    /// Makes keys and a server.
    pub(crate) async fn prepare(bench: &Bench) -> Result<Self> {
        let (folder, sshd) = (bench.path("shell"), bench.sshd()?);
        fs::create_dir_all(&folder)?;
        let (private, public) = key_pair()?;
        write_private(&folder.join("key"), &private)?;
        sshd.authorize(USER, &public)?;
        let host_key = sshd.host_key()?;
        fs::write(folder.join("known_hosts"), format!("bench {host_key}\n"))?;
        let made = tokio::process::Command::new("age-keygen").output().await?;
        ensure!(made.status.success(), "age-keygen failed");
        let text = String::from_utf8(made.stdout)?;
        let (_, rest) = text.split_once("public key: ").context("age-keygen printed no public key")?;
        let recipient = rest.lines().next().unwrap_or_default().to_owned();
        Ok(Self { folder, recipient, sshd })
    }

    /// `ssh` with everything that leads to `port`.
    pub(crate) fn ssh(&self, port: u16) -> String {
        let at = self.folder.display();
        format!(
            "ssh -F none -c aes128-gcm@openssh.com -p {port} -i {at}/key -o BatchMode=yes -o HostKeyAlias=bench \
             -o UserKnownHostsFile={at}/known_hosts {USER}@127.0.0.1"
        )
    }

    /// The pipeline of the issue over what `command` (no single quotes in it) writes on the server. `tee >(sha256sum)` is
    /// written with a named pipe: bash neither waits for a process substitution nor counts its processor time.
    pub(crate) fn pipeline(&self, port: u16, command: &str, threads: u8, store: &str) -> String {
        format!(
            "{ssh} '{command}' | tee {at}/sum | zstd -3 -T{threads} -q -c | age -r {recipient} | {store}",
            ssh = self.ssh(port),
            at = self.folder.display(),
            recipient = self.recipient,
        )
    }

    /// How a tree is read on the server, as the product does.
    pub(crate) fn tar(tree: &Path) -> String {
        format!("{TAR} {}", tree.display())
    }

    /// The end of a pipeline that stores on this machine's disk.
    pub(crate) fn disk(&self) -> String {
        format!("dd of={}/out bs=1M conv=fsync status=none", self.folder.display())
    }

    /// Runs the pipeline to the disk once and removes what it stored.
    pub(crate) async fn back_up(&self, port: u16, command: &str, threads: u8) -> Result<Measured> {
        let measured = self.run(&self.pipeline(port, command, threads, &self.disk())).await?;
        fs::remove_file(self.folder.join("out"))?;
        Ok(measured)
    }

    /// Runs a pipeline once.
    pub(crate) async fn run(&self, pipeline: &str) -> Result<Measured> {
        let at = self.folder.display();
        time(&format!("rm -f {at}/sum; mkfifo {at}/sum; sha256sum <{at}/sum >{at}/sha256 & {pipeline} && wait $!"))
            .await
    }

    /// Removes keys and files, for the next part.
    pub(crate) fn remove(self) -> Result<()> {
        Ok(fs::remove_dir_all(&self.folder)?)
    }

    /// A file that only this side's commands read.
    pub(crate) fn secret_file(&self, name: &str, text: &str) -> Result<PathBuf> {
        let file = self.folder.join(name);
        write_private(&file, text)?;
        Ok(file)
    }
}

fn write_private(file: &Path, text: &str) -> Result<()> {
    use std::io::Write;
    let mut file = fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(file)?;
    Ok(file.write_all(text.as_bytes())?)
}

/// Runs `script` in bash and measures it; it must end well in every part.
pub(crate) async fn time(script: &str) -> Result<Measured> {
    let whole = format!("set -o pipefail; TIMEFORMAT='HF_TIME %R %U %S'; time {{ {script}; }}");
    let output = tokio::process::Command::new("bash")
        .args(["-c", &whole])
        .env("LC_ALL", "C")
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .output()
        .await?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{script}\nfailed: {said}");
    let line = said.lines().rev().find_map(|line| line.strip_prefix("HF_TIME ")).context("bash printed no time")?;
    let mut numbers = line.split(' ').map(|number| number.parse::<f64>().context("a time that is no number"));
    let mut next = || numbers.next().context("too few times")?;
    let (seconds, user, system) = (next()?, next()?, next()?);
    Ok(Measured { seconds, cpu_seconds: user + system })
}

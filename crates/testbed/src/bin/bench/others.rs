//! What other people use, for scale: one measured run each, because they differ by more than the noise.

use crate::figures::{MIB, Measured};
use crate::session::{Bench, USER};
use crate::shell::{Shell, time};
use anyhow::Result;
use holdfast_testbed::tree::TreeSpec;
use std::fs;
use std::path::Path;
use std::process::Command;

/// One tool's line.
struct Line {
    what: &'static str,
    measured: Measured,
    stored_bytes: u64,
    temp_bytes: u64,
}

pub(crate) async fn measure(bench: &Bench) -> Result<String> {
    let spec = TreeSpec::large(1, true);
    let mib = spec.total_bytes as f64 / MIB;
    let path = bench.path("tree");
    let tree = if path.exists() { path } else { bench.tree("tree", spec).await? };
    let shell = Shell::prepare(bench).await?;
    let mount = Mount::make(bench, &shell, &tree)?;
    let lines = [borg(bench, &mount).await?, restic(bench, &mount).await?, zip_then_sftp(bench, &shell, &tree).await?];
    drop(mount);
    let mut text = String::from(
        "## Other ways, for scale\n\nThe same tree, the same server; one run each, into an empty repository. borg and restic read \
         through sshfs, because that is how they back up a server on which nothing is installed; later runs of theirs are \
         faster, for they skip what did not change. What they warn about is let pass: Debian 12's sshfs cannot read symbolic links. zip needs room on the server for the whole archive.\n\n\
         | | seconds | MiB/s | stored, MiB | CPU s (client) | temporary bytes |\n|---|---|---|---|---|---|\n",
    );
    for line in lines {
        text.push_str(&format!(
            "| {} | {:.1} | {:.0} | {:.0} | {:.1} | {:.1} MiB |\n",
            line.what,
            line.measured.seconds,
            mib / line.measured.seconds,
            line.stored_bytes as f64 / MIB,
            line.measured.cpu_seconds,
            line.temp_bytes as f64 / MIB
        ));
    }
    text.push('\n');
    Ok(text)
}

/// Status 1 is a warning of borg's, status 3 one of restic's: what they could not read through sshfs is left out.
async fn borg(bench: &Bench, mount: &Mount) -> Result<Line> {
    let (repository, base) = (bench.path("borg"), bench.path("borg-base"));
    let environment = format!("export BORG_PASSPHRASE=bench BORG_BASE_DIR={}", base.display());
    time(&format!("{environment}; borg init -e repokey-blake2 {}", repository.display())).await?;
    let create =
        format!("{environment}; borg create -C zstd,3 {}::one {} || [ $? -eq 1 ]", repository.display(), mount.at());
    let measured = time(&create).await?;
    Ok(Line { what: "borg over sshfs", measured, stored_bytes: size(&repository)?, temp_bytes: size(&base)? })
}

async fn restic(bench: &Bench, mount: &Mount) -> Result<Line> {
    let (repository, cache) = (bench.path("restic"), bench.path("restic-cache"));
    let environment = format!(
        "export RESTIC_PASSWORD=bench RESTIC_REPOSITORY={} RESTIC_CACHE_DIR={}",
        repository.display(),
        cache.display()
    );
    time(&format!("{environment}; restic init -q")).await?;
    let measured = time(&format!("{environment}; restic backup -q {} || [ $? -eq 3 ]", mount.at())).await?;
    Ok(Line { what: "restic over sshfs", measured, stored_bytes: size(&repository)?, temp_bytes: size(&cache)? })
}

async fn zip_then_sftp(bench: &Bench, shell: &Shell, tree: &Path) -> Result<Line> {
    let (archive, fetched) = (bench.path("server.zip"), bench.path("fetched.zip"));
    let port = shell.sshd.port();
    let ssh = shell.ssh(port);
    // `sftp` takes the options of `ssh`, but the port as -P and the command on its input.
    let sftp = ssh.replacen("ssh ", "sftp -q -b - ", 1).replace(&format!("-p {port}"), &format!("-P {port}"));
    let measured = time(&format!(
        "{ssh} 'cd / && zip -qry {archive} {tree}' && echo 'get {archive} {fetched}' | {sftp} && sync {fetched} && {ssh} 'rm {archive}'",
        archive = archive.display(),
        fetched = fetched.display(),
        tree = tree.strip_prefix("/")?.display(),
    ))
    .await?;
    let stored_bytes = fs::metadata(&fetched)?.len();
    fs::remove_file(&fetched)?;
    Ok(Line { what: "zip, then sftp (not encrypted)", measured, stored_bytes, temp_bytes: stored_bytes })
}

/// Bytes in files at and below `path`; 0 where there is nothing.
fn size(path: &Path) -> Result<u64> {
    let Ok(meta) = fs::symlink_metadata(path) else { return Ok(0) };
    if !meta.is_dir() {
        return Ok(meta.len());
    }
    fs::read_dir(path)?.map(|entry| size(&entry?.path())).sum()
}

/// The tree, mounted through sshfs; unmounted when dropped.
struct Mount(std::path::PathBuf);

impl Mount {
    fn make(bench: &Bench, shell: &Shell, tree: &Path) -> Result<Self> {
        let at = bench.path("mount");
        fs::create_dir_all(&at)?;
        let ssh = shell.ssh(shell.sshd.port());
        let options = ssh.trim_start_matches("ssh ").trim_end_matches(&format!(" {USER}@127.0.0.1")).to_owned();
        let made = Command::new("sshfs")
            .arg(format!("{USER}@127.0.0.1:{}", tree.display()))
            .arg(&at)
            .args(["-o", "ro", "-o", &format!("ssh_command=ssh {options}")])
            .status()?;
        anyhow::ensure!(made.success(), "sshfs failed");
        Ok(Self(at))
    }

    fn at(&self) -> String {
        self.0.display().to_string()
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("fusermount").arg("-u").arg(&self.0).status();
    }
}

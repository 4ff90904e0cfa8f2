//! Opening a stored object without the product: `age`, `zstd` and `tar` alone, with the key of the recovery kit.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// What the demo runs itself or the customer needs; `./dev demo` installs them.
const PROGRAMS: [&str; 11] =
    ["sshd", "ssh-keygen", "tar", "base64", "age", "zstd", "bash", "sha256sum", "mariadbd", "mariadb-dump", "psql"];

/// The commands of docs/opening-a-backup.md, for root too. Each of the three must end well, and says so if it did not.
const OPEN: &str = r#"age --decrypt --identity "$1" "$2" | zstd --decompress --stdout |
  tar --extract --preserve-permissions --numeric-owner --xattrs --xattrs-include='*' --acls --directory "$3"
codes="${PIPESTATUS[*]}"
[ "$codes" = '0 0 0' ] || { echo "age, zstd and tar ended with $codes" >&2; exit 1; }"#;

/// Fails early where a program is missing.
///
/// # Errors
/// One sentence that names all that are missing.
pub(super) fn require_programs() -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]).collect();
    let missing: Vec<&str> =
        PROGRAMS.into_iter().filter(|program| !folders.iter().any(|folder| folder.join(program).is_file())).collect();
    ensure!(
        missing.is_empty(),
        "the demo needs {}; on Debian: apt-get install openssh-server tar coreutils age zstd bash mariadb-server \
         postgresql, and cargo install garage (./dev demo does it)",
        missing.join(", ")
    );
    Ok(())
}

/// Unpacks `object` into the new folder `to` with the identity in `kit`.
///
/// # Errors
/// The kit holds no identity, or one of the three programs failed; the message carries what they said.
pub(super) async fn open(kit: &str, object: &Path, to: &Path) -> Result<()> {
    let identity =
        kit.lines().find(|line| line.starts_with("AGE-SECRET-KEY-1")).context("the recovery kit holds no key")?;
    let file = to.with_extension("identity");
    let mut out = fs::File::options().write(true).create_new(true).mode(0o600).open(&file)?;
    writeln!(out, "{identity}")?;
    fs::create_dir(to)?;
    let output = tokio::process::Command::new("bash")
        .args(["-c", OPEN, "open"])
        .args([&file, object, to])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await?;
    fs::remove_file(&file)?;
    ensure!(output.status.success(), "age, zstd or tar failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

/// SHA-256 of a file, as `sha256sum` prints it.
///
/// # Errors
/// The program failed.
pub(super) async fn sha256(file: &Path) -> Result<String> {
    let output = tokio::process::Command::new("sha256sum").arg("--").arg(file).stdin(Stdio::null()).output().await?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text.split_whitespace().next().context("sha256sum printed nothing")?.to_owned())
}

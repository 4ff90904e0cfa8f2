//! A command on a terminal of its own, for programs that ask their questions there and nowhere else (`age` and its
//! password). What is typed goes to the terminal alone and never into arguments.

use anyhow::{Context, Result, ensure};
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

/// The longest wait for the prompt, and then for the end.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs the shell commands `script` in `folder` on a new terminal (util-linux's `script`), waits until `prompt` is
/// shown, types `line`, and waits for the end. What was shown.
///
/// # Errors
/// The prompt did not come, or the commands ended badly; the message carries what was shown.
pub async fn run(script: &str, folder: &Path, prompt: &str, line: &str) -> Result<String> {
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(script.as_bytes())?;
    let command = format!("bash -e -o pipefail '{}'", file.path().display());
    let mut child = Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .context("starting `script` (Debian: bsdutils)")?;
    let (mut keyboard, mut screen) =
        (child.stdin.take().context("no input")?, child.stdout.take().context("no output")?);
    let mut shown = Vec::new();
    let talk = async {
        while !String::from_utf8_lossy(&shown).contains(prompt) {
            ensure!(screen.read_buf(&mut shown).await? > 0, "it ended before it asked {prompt:?}");
        }
        keyboard.write_all(format!("{line}\n").as_bytes()).await?;
        // The keyboard stays: its end would be the end of the terminal.
        while screen.read_buf(&mut shown).await? > 0 {}
        anyhow::Ok(child.wait().await?)
    };
    let status = tokio::time::timeout(LIMIT, talk).await;
    drop(keyboard);
    let shown = String::from_utf8_lossy(&shown).into_owned();
    let status = status.with_context(|| format!("no end in sight; shown: {shown}"))?.with_context(|| shown.clone())?;
    ensure!(status.success(), "it ended with {status}; shown: {shown}");
    Ok(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_typed_reaches_the_terminal() {
        let folder = tempfile::tempdir().expect("a folder");
        let script = "printf 'word? '; read -r word < /dev/tty; printf %s \"$word\" > got; test \"$word\" = 'a b'";
        run(script, folder.path(), "word? ", "a b").await.expect("it ends well");
        assert_eq!(std::fs::read_to_string(folder.path().join("got")).expect("a file"), "a b");
        assert!(run("printf 'word? '; read -r _; exit 3", folder.path(), "word? ", "x").await.is_err());
    }
}

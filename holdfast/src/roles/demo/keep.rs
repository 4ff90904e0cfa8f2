//! `--keep`: the demo runs in a process that stays, and the one that was typed passes its output on and returns once
//! the walk is over.

use super::screen::Screen;
use super::told_to_end;
use super::walk::Running;
use super::workplace::Workplace;
use anyhow::{Context, Result};
use std::io::Write;
use std::process::{ExitCode, Stdio};
use tokio::io::AsyncReadExt;
use tokio::process::Command;

/// What the staying process writes last: nothing of the demo's own text holds it.
const END_OF_TEXT: u8 = 4;

/// Starts this program again with the same arguments, passes on what it says, and returns when it has said all.
///
/// # Errors
/// It could not be started.
pub(super) async fn in_the_background() -> Result<ExitCode> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .arg("--stay")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // Not inherited: whoever waits for the end of what this program says must not wait for what stays.
        .stderr(Stdio::piped())
        // Ctrl-C at this terminal, later, is not meant for what stays.
        .process_group(0)
        .spawn()
        .context("starting the demo in the background")?;
    let pid =
        child.id().and_then(|id| rustix::process::Pid::from_raw(i32::try_from(id).ok()?)).context("a process id")?;
    let mut output = child.stdout.take().context("its output")?;
    let mut complaints = child.stderr.take().context("its complaints")?;
    let (mut buffer, mut other, mut complains) = (vec![0; 8192], vec![0; 8192], true);
    loop {
        tokio::select! {
            read = output.read(&mut buffer) => {
                let text = match read { Ok(0) | Err(_) => break, Ok(len) => &buffer[..len] };
                let (text, is_last) = text.strip_suffix(&[END_OF_TEXT]).map_or((text, false), |text| (text, true));
                let mut out = std::io::stdout().lock();
                let _ = out.write_all(text).and_then(|()| out.flush());
                if is_last {
                    return Ok(ExitCode::SUCCESS);
                }
            }
            read = complaints.read(&mut other), if complains => {
                let len = read.unwrap_or(0);
                complains = len > 0;
                let _ = std::io::stderr().lock().write_all(&other[..len]);
            }
            () = told_to_end() => rustix::process::kill_process(pid, rustix::process::Signal::INT)?,
        }
    }
    let mut rest = Vec::new();
    let _ = complaints.read_to_end(&mut rest).await;
    let _ = std::io::stderr().lock().write_all(&rest);
    let status = child.wait().await?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Says where everything is, and waits until it is told to end.
///
/// # Errors
/// The product did not end well.
pub(super) async fn hold(running: Running, place: &Workplace, screen: &Screen) -> Result<()> {
    screen.block(&format!(
        "Everything is left running:\n  \
         API            {url}/api   (user {user})\n  \
         log            {log}\n  \
         data folder    {data}\n  \
         customer       ssh {login}@127.0.0.1 -p {port}, files in {tree}\n  \
         databases      mariadb -u root -S {mariadb}; psql -U postgres -h {postgresql} -p {postgresql_port}\n  \
         S3             {s3}, bucket {bucket}\n  \
         new token      holdfast admin create-token --email {user} --name mine --abilities '*' --data-dir {data}\n\
         To end it and remove everything: kill {pid}\n",
        url = running.product.url(),
        user = holdfast_testbed::product::USER_EMAIL,
        log = running.product.log().display(),
        data = running.product.data_dir().display(),
        login = running.customer.user,
        port = running.customer.sshd.port(),
        mariadb = running.customer.mariadb.socket().display(),
        postgresql = running.customer.postgresql.socket_dir().display(),
        postgresql_port = running.customer.postgresql.port(),
        s3 = running.customer.garage.endpoint(),
        bucket = holdfast_testbed::garage::BUCKET,
        tree = place.tree().display(),
        pid = std::process::id(),
    ));
    screen.block("\u{4}");
    told_to_end().await;
    running.stop().await
}

//! What was measured with what.

use crate::session::Bench;
use anyhow::Result;
use tokio::process::Command;

/// Each tool, and how it says which it is.
const TOOLS: [(&str, &str); 13] = [
    ("kernel", "uname -sr"),
    ("OpenSSH", "ssh -V 2>&1"),
    ("tar", "tar --version"),
    ("zstd", "zstd --version"),
    ("age", "age --version"),
    ("borg", "borg --version"),
    ("restic", "restic version"),
    ("sshfs", "sshfs --version 2>/dev/null"),
    ("PostgreSQL", "$(ls -d /usr/lib/postgresql/*/bin/postgres | tail -n 1) --version"),
    ("MariaDB", "mariadb --version"),
    ("Garage", "garage --version"),
    ("rclone", "rclone version"),
    ("rustc", "rustc --version"),
];

/// The document's beginning.
pub(crate) async fn head(bench: &Bench) -> Result<String> {
    let mut text = String::from(
        "# Benchmarks\n\nWritten by `./dev bench`; run it again on your own machine, with nothing else running. Everything is on one \
         machine: server, product and destination share its processors, on both sides of each comparison.\n\n| | |\n|---|---|\n",
    );
    text.push_str(&format!("| when | {} |\n", first_line("date -u '+%Y-%m-%d %H:%M UTC'").await));
    text.push_str(&format!("| commit | {} |\n", first_line("git rev-parse --short HEAD").await));
    text.push_str(&format!(
        "| holdfast | {} |\n",
        first_line(&format!("'{}' --version", bench.binary.display())).await
    ));
    let processor = first_line("sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1").await;
    text.push_str(&format!("| processors | {} × {processor} |\n", first_line("nproc").await));
    text.push_str(&format!("| memory | {} |\n", first_line("sed -n 's/^MemTotal: *//p' /proc/meminfo").await));
    let folder = bench.path("");
    text.push_str(&format!(
        "| file system | {} |\n",
        first_line(&format!("stat -f -c %T '{}'", folder.display())).await
    ));
    text.push_str(&format!("| load before | {} |\n", first_line("cut -d' ' -f1-3 /proc/loadavg").await));
    for (name, command) in TOOLS {
        text.push_str(&format!("| {name} | {} |\n", first_line(command).await));
    }
    text.push('\n');
    Ok(text)
}

async fn first_line(command: &str) -> String {
    let output = Command::new("sh").args(["-c", command]).output().await;
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or("not installed").trim().to_owned()
}

//! A real SMTP server: Debian's python3-aiosmtpd on loopback, which keeps nothing and prints each mail as it was taken
//! from the wire. It ends with its handle.

use crate::product::free_port;
use anyhow::{Context as _, Result, bail};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};

/// The system's own, for which Debian's package is installed.
const PYTHON: &str = "/usr/bin/python3";
/// For its start, and for a mail that is on its way.
const LIMIT: Duration = Duration::from_secs(30);

/// A running server.
pub struct Smtp {
    port: u16,
    lines: Lines<BufReader<ChildStdout>>,
    _server: Child,
}

impl Smtp {
    /// Starts one without TLS and without a log-in.
    ///
    /// # Errors
    /// The package is missing, or the server did not start.
    pub async fn start() -> Result<Self> {
        let port = free_port()?;
        let listen = format!("127.0.0.1:{port}");
        let mut server = Command::new(PYTHON)
            .args(["-u", "-m", "aiosmtpd", "-n", "-l", &listen, "-c", "aiosmtpd.handlers.Debugging", "stdout"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("starting aiosmtpd (Debian: python3-aiosmtpd)")?;
        let lines = BufReader::new(server.stdout.take().context("its output")?).lines();
        let limit = Instant::now() + LIMIT;
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            if Instant::now() > limit || server.try_wait()?.is_some() {
                bail!("aiosmtpd does not listen");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(Self { port, lines, _server: server })
    }

    /// The loopback port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The next mail, headers and body, as the server prints it.
    ///
    /// # Errors
    /// None came in time.
    pub async fn mail(&mut self) -> Result<String> {
        let reading = async {
            let mut mail = String::new();
            while let Some(line) = self.lines.next_line().await? {
                if line.contains("END MESSAGE") {
                    return Ok(mail);
                }
                if !line.contains("MESSAGE FOLLOWS") {
                    mail.push_str(&line);
                    mail.push('\n');
                }
            }
            bail!("aiosmtpd ended")
        };
        tokio::time::timeout(LIMIT, reading).await.context("no mail came")?
    }
}

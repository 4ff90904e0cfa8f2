//! A receiver of signed webhooks. The signature is checked by the library that the specification's authors publish
//! (<https://www.standardwebhooks.com>, PyPI `standardwebhooks`), which shares nothing with the code that signs.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// As `need_standardwebhooks` of `dev.d/lib.sh` installs it.
const LIBRARY: &str = "standardwebhooks-1.1.0";
const SERVER: &str = include_str!("webhook.py");
/// For its start, and for a request that is on its way.
const LIMIT: Duration = Duration::from_secs(30);

/// A running receiver. It ends with its handle.
pub struct WebhookReceiver {
    port: u16,
    lines: Lines<BufReader<ChildStdout>>,
    // Its end is the server's.
    _stdin: ChildStdin,
    _server: Child,
}

impl WebhookReceiver {
    /// Starts one that takes what every one of `secrets` (`whsec_…`) has signed.
    ///
    /// # Errors
    /// The library is missing, or the server did not start.
    pub async fn start(secrets: &[&str]) -> Result<Self> {
        let python = crate::tools().join(LIBRARY).join("bin/python");
        ensure!(python.is_file(), "{} is missing: `./dev test` installs it once from PyPI", python.display());
        let mut server = Command::new::<PathBuf>(python)
            .args(["-u", "-c", SERVER])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting a receiver of webhooks")?;
        let mut stdin = server.stdin.take().context("its input")?;
        let lines = BufReader::new(server.stdout.take().context("its output")?).lines();
        let said: String = secrets.iter().map(|secret| format!("{secret}\n")).collect();
        stdin.write_all(format!("0\n{said}\n").as_bytes()).await?;
        let mut receiver = Self { port: 0, lines, _stdin: stdin, _server: server };
        let first = receiver.line().await?;
        receiver.port = first.strip_prefix("listening ").context("it does not listen")?.parse()?;
        Ok(receiver)
    }

    /// `http://127.0.0.1:port`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The next message whose signature and form were right.
    ///
    /// # Errors
    /// None came in time, or one was refused.
    pub async fn message(&mut self) -> Result<Value> {
        match self.line().await?.split_once(' ') {
            Some(("taken", body)) => Ok(serde_json::from_str(body)?),
            other => bail!("not taken: {other:?}"),
        }
    }

    /// Why the next message was refused.
    ///
    /// # Errors
    /// None came in time, or it was taken.
    pub async fn refusal(&mut self) -> Result<String> {
        match self.line().await?.split_once(' ') {
            Some(("refused", why)) => Ok(why.to_owned()),
            other => bail!("not refused: {other:?}"),
        }
    }

    async fn line(&mut self) -> Result<String> {
        let line = tokio::time::timeout(LIMIT, self.lines.next_line()).await.context("it says nothing")??;
        line.context("the receiver of webhooks ended")
    }
}

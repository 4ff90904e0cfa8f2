//! The product as somebody would start it: `holdfast up` as a child, reached through HTTP and the command line alone.
//! For the demo, the bench and tests from outside. It must leave nothing running, however its owner ends.

use crate::client::ApiClient;
use crate::processes::{self, Process};
use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A first start makes a database cluster; on a slow disk that takes a while.
const START_LIMIT: Duration = Duration::from_secs(90);
/// A drain waits for what runs.
const STOP_LIMIT: Duration = Duration::from_secs(40);
const POLL: Duration = Duration::from_millis(50);

/// The user that [`Product::set_up`] makes.
pub const USER_EMAIL: &str = "demo@example.org";
/// And the password that it gives them.
pub const USER_PASSWORD: &str = "a demo needs no secret password";

/// How to start it.
#[derive(Clone, Debug)]
pub struct ProductOptions {
    /// The `holdfast` program.
    pub binary: PathBuf,
    /// Its data folder; made if missing. The user that runs the database must be able to pass through its parents.
    pub data_dir: PathBuf,
    /// How many worker processes.
    pub workers: u16,
    /// Settings on top of the defaults, `HOLDFAST__SECTION__KEY` and value.
    pub settings: Vec<(String, String)>,
}

/// A running `holdfast up`.
pub struct Product {
    options: ProductOptions,
    child: Child,
    url: String,
    operator_url: String,
    log: PathBuf,
}

impl Product {
    /// Starts it on a free port and waits until it is ready.
    ///
    /// # Errors
    /// It ended or was not ready in 90 s; the message carries the end of its log.
    pub async fn start(options: ProductOptions) -> Result<Self> {
        let port = free_port()?;
        let listen = format!("{}:{port}", Ipv4Addr::LOCALHOST);
        let operator = format!("{}:{}", Ipv4Addr::LOCALHOST, free_port()?);
        let log = options.data_dir.with_extension("log");
        let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = Command::new(&options.binary)
            .args(["up", "--listen", &listen, "--workers", &options.workers.to_string(), "--data-dir"])
            .arg(&options.data_dir)
            .env("HOLDFAST__OPERATOR__LISTEN", &operator)
            .envs(options.settings.iter().cloned())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            // A group of its own: Ctrl-C on the terminal reaches the owner, which then ends this in order.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", options.binary.display()))?;
        let (url, operator_url) = (format!("http://{listen}"), format!("http://{operator}"));
        let mut product = Self { options, child, url, operator_url, log };
        product.wait_until_ready().await?;
        Ok(product)
    }

    /// `http://host:port`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// `http://host:port` of the operator's listener.
    #[must_use]
    pub fn operator_url(&self) -> &str {
        &self.operator_url
    }

    /// Where its output goes.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Its data folder.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.options.data_dir
    }

    /// Makes the first user through the one-time link that the start printed, and takes the token that the answer shows.
    ///
    /// # Errors
    /// There is no link in the log, or the API refused.
    pub async fn set_up(&self) -> Result<ApiClient> {
        let printed = std::fs::read_to_string(&self.log)?;
        let (_, rest) =
            printed.split_once("/setup?token=").with_context(|| format!("no set-up link in {}", self.log.display()))?;
        let secret: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-')).collect();
        let user = json!({
            "token": secret, "name": "Demo", "email": USER_EMAIL, "password": USER_PASSWORD, "timezone": "UTC",
        });
        let answer = ApiClient::new(&self.url, None)?.post("auth/setup", &user).await?;
        let token = answer["data"]["token"].as_str().context("the set-up shows no token")?;
        ApiClient::new(&self.url, Some(token.to_owned()))
    }

    /// Output of `holdfast admin <arguments>` beside the running product.
    ///
    /// # Errors
    /// It ended badly; the message carries what it said.
    pub async fn admin(&self, arguments: &[&str]) -> Result<String> {
        let output = tokio::process::Command::new(&self.options.binary)
            .arg("admin")
            .args(arguments)
            .arg("--data-dir")
            .arg(&self.options.data_dir)
            .envs(self.options.settings.iter().cloned())
            .stdin(Stdio::null())
            .output()
            .await?;
        let what = arguments.first().copied().unwrap_or_default();
        ensure!(output.status.success(), "admin {what}: {}", String::from_utf8_lossy(&output.stderr).trim());
        String::from_utf8(output.stdout).context("its output is not text")
    }

    /// How it was started, for starting it again.
    #[must_use]
    pub fn options(&self) -> &ProductOptions {
        &self.options
    }

    /// The supervisor's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where its private database listens: the folder of the socket, for `psql -h`.
    ///
    /// # Errors
    /// It has none.
    pub fn database_socket(&self) -> Result<PathBuf> {
        let file = self.options.data_dir.join("postgres/holdfast.conf");
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let line = text.lines().find_map(|line| line.strip_prefix("unix_socket_directories = '"));
        Ok(line.and_then(|line| line.strip_suffix('\'')).context("no socket in its settings")?.into())
    }

    /// The process id of its private database's server.
    ///
    /// # Errors
    /// It does not run.
    pub fn database_pid(&self) -> Result<u32> {
        let text = std::fs::read_to_string(self.options.data_dir.join("postgres/postmaster.pid"))?;
        Ok(text.lines().next().context("an empty postmaster.pid")?.trim().parse()?)
    }

    /// Ends the supervisor as a crash would, and nothing else.
    ///
    /// # Errors
    /// It had ended already.
    pub fn kill_supervisor(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// It did not within `limit`.
    pub async fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let until = Instant::now() + limit;
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            ensure!(Instant::now() < until, "holdfast up runs on{}", self.last_words());
            tokio::time::sleep(POLL).await;
        }
    }

    /// `up` and everything it started that still belongs to it.
    ///
    /// # Errors
    /// There is no `/proc`.
    pub fn processes(&self) -> Result<Vec<Process>> {
        processes::family(self.child.id())
    }

    /// The processes of one role, `api` or `worker`.
    ///
    /// # Errors
    /// There is no `/proc`.
    pub fn of_role(&self, role: &str) -> Result<Vec<Process>> {
        Ok(self
            .processes()?
            .into_iter()
            .filter(|process| process.arguments.get(1).is_some_and(|first| first == role))
            .collect())
    }

    /// Asks it to end, and waits; the second time it is told to end at once.
    ///
    /// # Errors
    /// It did not end, or not well.
    pub async fn stop(mut self) -> Result<()> {
        for is_last in [false, true] {
            self.interrupt()?;
            let limit = Instant::now() + STOP_LIMIT;
            while Instant::now() < limit {
                if let Some(status) = self.child.try_wait()? {
                    ensure!(status.success() && !is_last, "holdfast up ended with {status}{}", self.last_words());
                    return Ok(());
                }
                tokio::time::sleep(POLL).await;
            }
        }
        bail!("holdfast up did not end{}", self.last_words())
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let http = reqwest::Client::builder().no_proxy().build()?;
        let limit = Instant::now() + START_LIMIT;
        loop {
            if let Some(status) = self.ended()? {
                bail!("holdfast up ended with {status}{}", self.last_words());
            }
            let answer = http.get(format!("{}/readyz", self.url)).timeout(Duration::from_secs(2)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            ensure!(
                Instant::now() < limit,
                "holdfast up was not ready in {} s{}",
                START_LIMIT.as_secs(),
                self.last_words()
            );
            tokio::time::sleep(POLL).await;
        }
    }

    fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Ctrl-C, for the supervisor alone.
    ///
    /// # Errors
    /// It has ended.
    pub fn interrupt(&self) -> Result<()> {
        let pid =
            i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw).context("a process id")?;
        rustix::process::kill_process(pid, rustix::process::Signal::INT).context("cannot signal holdfast up")
    }

    /// The end of the log, for a message.
    pub fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(15).collect();
        format!(
            "; its log {} ends with:\n{}",
            self.log.display(),
            lines.into_iter().rev().collect::<Vec<_>>().join("\n")
        )
    }
}

impl Drop for Product {
    /// For an owner that gives up: two interrupts end it at once and in order; what is left then is killed.
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        let family = self.processes().unwrap_or_default();
        for _ in 0..2 {
            let _ = self.interrupt();
            let limit = Instant::now() + Duration::from_secs(5);
            while Instant::now() < limit {
                if matches!(self.child.try_wait(), Ok(Some(_))) {
                    return;
                }
                std::thread::sleep(POLL);
            }
        }
        for process in family {
            let pid = i32::try_from(process.pid).ok().and_then(rustix::process::Pid::from_raw);
            let _ = pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::KILL));
        }
        let _ = self.child.wait();
    }
}

/// A port of loopback that nobody has at this moment.
///
/// # Errors
/// None is free.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

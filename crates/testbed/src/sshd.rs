//! A real `sshd` on a free loopback port with its own host key, configuration and authorized keys, and users to log in as.
//!
//! A keeper process waits on a pipe that only the owner holds, so server and folder go away however the owner ends. As
//! root, [`Login::create`] makes a system user of its own; otherwise one logs in as oneself.

use crate::network::Host;
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const SSHD: &str = "/usr/sbin/sshd";

/// How long a server may take to answer, and a user database to be free.
const PATIENCE: Duration = Duration::from_secs(20);

/// Restarts on each line; stops and removes the folder when the owner's pipe ends. The port stays closed in between
/// only as long as the restart takes.
const KEEPER: &str = r#"
"$1" -D -e -f "$2/sshd_config" 2>>"$2/log" & s=$!
while read -r _; do kill "$s"; wait "$s"; "$1" -D -e -f "$2/sshd_config" 2>>"$2/log" & s=$!; done
kill "$s"; rm -rf -- "$2"
"#;

/// A running server.
pub struct Sshd {
    dir: PathBuf,
    port: u16,
    keeper: Child,
    /// It runs on a host of its own, which nothing here may reach.
    is_elsewhere: bool,
}

impl Sshd {
    /// Starts a server that lets keys in.
    ///
    /// # Errors
    /// `sshd` or `ssh-keygen` is not installed, or the server did not come up; the message carries its log.
    pub fn start() -> Result<Self> {
        Self::start_with("")
    }

    /// Starts a server with `settings` (lines of `sshd_config`) before the usual ones; the first of two wins.
    ///
    /// # Errors
    /// As [`Sshd::start`].
    pub fn start_with(settings: &str) -> Result<Self> {
        Self::start_at(settings, None)
    }

    /// Starts a server with `settings` on a host of its own.
    ///
    /// # Errors
    /// As [`Sshd::start`].
    pub fn start_on(host: &Host, settings: &str) -> Result<Self> {
        Self::start_at(settings, Some(host))
    }

    fn start_at(settings: &str, host: Option<&Host>) -> Result<Self> {
        if rustix::process::geteuid().is_root() {
            fs::create_dir_all("/run/sshd").context("making sshd's privilege separation folder")?;
        }
        let mut last = anyhow::anyhow!("no attempt was made");
        // Between choosing a free port and binding it, another may take it.
        for _ in 0..5 {
            match Self::attempt(settings, host) {
                Ok(sshd) => return Ok(sshd),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn attempt(settings: &str, host: Option<&Host>) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("hf-sshd-").tempdir()?.keep();
        // sshd reads authorized keys as the user who logs in.
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755))?;
        fs::create_dir(dir.join("authorized_keys"))?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = host.map_or(Ipv4Addr::LOCALHOST, Host::address);
        make_key(&dir.join("host_key"))?;
        let at = dir.display();
        let config = format!(
            "{settings}\nPort {port}\nListenAddress {address}\nHostKey {at}/host_key\nPidFile {at}/pid\n\
             AuthorizedKeysFile {at}/authorized_keys/%u\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nPermitRootLogin yes\nUseDNS no\nMaxStartups 100\nMaxAuthTries 20\n\
             PrintMotd no\nLogLevel DEBUG1\nSubsystem sftp internal-sftp\n"
        );
        fs::write(dir.join("sshd_config"), config)?;
        let keeper = host
            .map_or_else(|| Command::new("sh"), |host| host.command("sh"))
            .args(["-c", KEEPER, "keeper", SSHD])
            .arg(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Whoever kills a test's process group must not kill what cleans up after it.
            .process_group(0)
            .spawn()
            .context("starting sshd's keeper")?;
        let sshd = Self { dir, port, keeper, is_elsewhere: host.is_some() };
        sshd.await_start(0)?;
        Ok(sshd)
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder with configuration, keys and log.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The host key as `type base64`.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn host_key(&self) -> Result<String> {
        let line = fs::read_to_string(self.dir.join("host_key.pub"))?;
        let mut words = line.split_ascii_whitespace();
        let (kind, key) = (words.next().context("empty host key")?, words.next().context("empty host key")?);
        Ok(format!("{kind} {key}"))
    }

    /// Lets `public_line` (with options, if any) in as `user`, and nothing else that was let in before.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn authorize(&self, user: &str, public_line: &str) -> Result<()> {
        let file = self.dir.join("authorized_keys").join(user);
        fs::write(&file, format!("{}\n", public_line.trim()))?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644))?;
        Ok(())
    }

    /// Makes a new host key, as after a reinstallation, and restarts.
    ///
    /// # Errors
    /// As [`Sshd::start`].
    pub fn swap_host_key(&mut self) -> Result<()> {
        fs::remove_file(self.dir.join("host_key"))?;
        fs::remove_file(self.dir.join("host_key.pub"))?;
        make_key(&self.dir.join("host_key"))?;
        self.restart()
    }

    /// Restarts the listener; sessions that run stay.
    ///
    /// # Errors
    /// As [`Sshd::start`].
    pub fn restart(&mut self) -> Result<()> {
        let pid = self.listener_pid()?;
        let before = self.starts();
        let pipe = self.keeper.stdin.as_mut().context("the keeper has no pipe")?;
        pipe.write_all(b"\n")?;
        let until = Instant::now() + PATIENCE;
        while self.listener_pid().is_ok_and(|now| now == pid) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        self.await_start(before)
    }

    /// Everything it logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(self.dir.join("log")).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default()
    }

    /// How many authentication requests it saw, `none` included: zero means that nothing was offered, not even a name.
    #[must_use]
    pub fn auth_attempts(&self) -> usize {
        self.log().lines().filter(|line| line.contains("userauth-request for user")).count()
    }

    /// The process id of the listener, from which every session's processes come.
    ///
    /// # Errors
    /// It does not run.
    pub fn listener_pid(&self) -> Result<u32> {
        Ok(fs::read_to_string(self.dir.join("pid"))?.trim().parse()?)
    }

    fn starts(&self) -> usize {
        self.log().matches("Server listening on").count()
    }

    /// Waits for one start more than `before`.
    fn await_start(&self, before: usize) -> Result<()> {
        if !self.is_elsewhere {
            return self.await_banner();
        }
        let until = Instant::now() + PATIENCE;
        while self.starts() == before {
            ensure!(Instant::now() < until, "sshd did not come up: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn await_banner(&self) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        let mut first = [0_u8; 4];
        while Instant::now() < until {
            let answered = TcpStream::connect(("127.0.0.1", self.port)).and_then(|mut stream| {
                stream.set_read_timeout(Some(Duration::from_secs(5)))?;
                stream.read_exact(&mut first)
            });
            if answered.is_ok() && &first == b"SSH-" {
                return Ok(());
            }
            if self.log().contains("Cannot bind any address") {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!("sshd did not come up: {}", self.log())
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// A fresh ed25519 key pair: the private half in OpenSSH's PEM form, and the public line.
///
/// # Errors
/// `ssh-keygen` is not installed.
pub fn key_pair() -> Result<(String, String)> {
    key_pair_with("", "")
}

/// As [`key_pair`], with a comment, and locked with a passphrase unless that is empty.
///
/// # Errors
/// `ssh-keygen` is not installed, or the passphrase is too short for it.
pub fn key_pair_with(comment: &str, passphrase: &str) -> Result<(String, String)> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("key");
    make_key_with(&file, comment, passphrase)?;
    Ok((fs::read_to_string(&file)?, fs::read_to_string(file.with_extension("pub"))?.trim().to_owned()))
}

fn make_key(file: &Path) -> Result<()> {
    make_key_with(file, "", "")
}

fn make_key_with(file: &Path, comment: &str, passphrase: &str) -> Result<()> {
    let options = ["-q", "-t", "ed25519", "-N", passphrase, "-C", comment, "-f"];
    let made = Command::new("ssh-keygen").args(options).arg(file).status()?;
    ensure!(made.success(), "ssh-keygen failed");
    Ok(())
}

/// A user to log in as, with a folder of its own.
pub struct Login {
    name: String,
    home: PathBuf,
    created: bool,
    _own_home: Option<tempfile::TempDir>,
}

impl Login {
    /// A new system user with `/bin/sh` when root, else oneself.
    ///
    /// # Errors
    /// `useradd` failed.
    pub fn create() -> Result<Self> {
        Self::create_with("/bin/sh", None)
    }

    /// A new system user with that login shell and password.
    ///
    /// # Errors
    /// `useradd` failed; or not root, and a shell or password was asked for.
    pub fn create_with(shell: &str, password: Option<&str>) -> Result<Self> {
        if !rustix::process::geteuid().is_root() {
            ensure!(shell == "/bin/sh" && password.is_none(), "only root can make users");
            let own = tempfile::Builder::new().prefix("hf-home-").tempdir()?;
            let name = String::from_utf8(Command::new("id").arg("-un").output()?.stdout)?.trim().to_owned();
            return Ok(Self { name, home: own.path().to_owned(), created: false, _own_home: Some(own) });
        }
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("hf{:x}x{:x}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let home = PathBuf::from(format!("/home/{name}"));
        // `*`: no password, without being locked; sshd refuses keys of locked accounts.
        let options = ["--create-home", "--password", "*", "--shell", shell, "--home-dir"];
        patiently(|| Command::new("useradd").args(options).arg(&home).arg(&name).output())?;
        fs::set_permissions(&home, fs::Permissions::from_mode(0o755))?;
        let login = Self { name, home, created: true, _own_home: None };
        if let Some(password) = password {
            login.set_password(password)?;
        }
        Ok(login)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A folder that belongs to it.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Its processes: what the kernel runs under its user id now, zombies left out. Only for a user of our own.
    ///
    /// # Errors
    /// `ps` failed.
    pub fn processes(&self) -> Result<Vec<String>> {
        ensure!(self.created, "not a user of our own");
        let listed = Command::new("ps").args(["-o", "stat=,pid=,args=", "-u", &self.name]).output()?;
        let text = String::from_utf8_lossy(&listed.stdout).into_owned();
        Ok(text.lines().filter(|l| !l.starts_with('Z') && !l.trim().is_empty()).map(str::to_owned).collect())
    }

    /// Gives everything below `path` to this user.
    ///
    /// # Errors
    /// `chown` failed.
    pub fn give(&self, path: &Path) -> Result<()> {
        if self.created {
            let given =
                Command::new("chown").args(["-hR", &format!("{0}:{0}", self.name)]).arg("--").arg(path).status()?;
            ensure!(given.success(), "chown failed");
        }
        Ok(())
    }

    fn set_password(&self, password: &str) -> Result<()> {
        patiently(|| {
            let mut child = Command::new("chpasswd").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
            if let Some(mut stdin) = child.stdin.take() {
                writeln!(stdin, "{}:{password}", self.name)?;
            }
            child.wait_with_output()
        })
    }
}

impl Drop for Login {
    fn drop(&mut self) {
        if self.created {
            let _ = Command::new("pkill").args(["-KILL", "-u", &self.name]).status();
            let _ = patiently(|| Command::new("userdel").args(["--force", "--remove", &self.name]).output());
        }
    }
}

/// Again while another holds the lock on the user database.
fn patiently(mut run: impl FnMut() -> std::io::Result<std::process::Output>) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    loop {
        let output = run()?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if !said.contains("lock") || Instant::now() > until {
            bail!("{}: {said}", output.status);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

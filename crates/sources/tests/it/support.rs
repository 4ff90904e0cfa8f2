//! A server, a login and helpers to read and restore through it.

use bytes::Bytes;
use holdfast_domain::Failure;
use holdfast_domain::restore::{ExistingPolicy, RestoreLayout};
use holdfast_domain::source::FilesSpec;
use holdfast_domain::warning::WarningCode;
use holdfast_egress::{EgressDefault, EgressGuard};
use holdfast_remote::{Credential, HostKeyExpectation, Peer, Session, Timing};
use holdfast_sources::files::{self, FilesReader};
use holdfast_sources::files_restore::{self, RestoreReport, RestoreTarget};
use holdfast_sources::{SourceReport, StreamReader};
use holdfast_testbed::sshd::{Login, Sshd, key_pair};
use secrecy::SecretString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub struct Bench {
    pub sshd: Sshd,
    pub login: Login,
    pub key: String,
}

impl Bench {
    pub fn new() -> Self {
        Self::with("", Login::create().unwrap())
    }

    pub fn with(settings: &str, login: Login) -> Self {
        let sshd = Sshd::start_with(settings).unwrap();
        let (key, public) = key_pair().unwrap();
        for user in [login.name(), "root"] {
            sshd.authorize(user, &public).unwrap();
        }
        Self { sshd, login, key }
    }

    /// A server whose programs find only `tools` (links to the real ones, unless a script is given).
    pub fn with_tools(tools: &[(&str, Option<&str>)]) -> Self {
        let login = Login::create().unwrap();
        let bin = login.home().join("bin");
        std::fs::create_dir(&bin).unwrap();
        for (tool, script) in tools {
            match script {
                Some(script) => write(&bin.join(tool), script, 0o755),
                None => std::os::unix::fs::symlink(real(tool), bin.join(tool)).unwrap(),
            }
        }
        let settings = format!("SetEnv PATH={}", bin.display());
        Self::with(&settings, login)
    }

    pub fn peer(&self, port: u16, user: &str) -> Peer {
        Peer {
            host: "127.0.0.1".into(),
            port,
            username: user.into(),
            credential: Credential::PrivateKey(SecretString::from(self.key.clone())),
            host_key: HostKeyExpectation::Pinned(self.sshd.host_key().unwrap()),
        }
    }

    pub async fn session(&self) -> Session {
        self.session_as(self.login.name()).await
    }

    pub async fn session_as(&self, user: &str) -> Session {
        Session::connect(&guard(), &self.peer(self.sshd.port(), user)).await.unwrap()
    }

    pub async fn session_through(&self, port: u16) -> Session {
        let timing = Timing {
            handshake: Duration::from_secs(5),
            keepalive: Duration::from_secs(1),
            silence: Duration::from_secs(60),
        };
        Session::connect_with(&guard(), &self.peer(port, self.login.name()), timing).await.unwrap()
    }

    pub async fn open(&self, spec: &FilesSpec) -> Result<FilesReader, Failure> {
        files::open(self.session().await, spec).await
    }

    pub async fn read(&self, spec: &FilesSpec) -> Result<(Vec<u8>, SourceReport), Failure> {
        read_all(self.open(spec).await?).await
    }

    /// Waits until the login runs `what`.
    pub async fn await_process(&self, what: &str) {
        let until = Instant::now() + Duration::from_secs(10);
        while !self.login.processes().unwrap().iter().any(|p| p.contains(what)) {
            assert!(Instant::now() < until, "{what} was never there");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until no process of the login is left; what is left otherwise.
    pub async fn left_after(&self, patience: Duration) -> Vec<String> {
        let until = Instant::now() + patience;
        loop {
            let left = self.login.processes().unwrap();
            if left.is_empty() || Instant::now() > until {
                return left;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A folder of the login's, with these files in it.
    pub fn tree(&self, name: &str, files: &[(&str, &str)]) -> PathBuf {
        let root = self.login.home().join(name);
        std::fs::create_dir(&root).unwrap();
        for (file, content) in files {
            let path = root.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        self.login.give(&root).unwrap();
        root
    }
}

pub fn guard() -> EgressGuard {
    EgressGuard::new(EgressDefault::PublicOnly, vec!["127.0.0.0/8".parse().unwrap()])
}

pub fn spec(paths: &[&Path], excludes: &[&str]) -> FilesSpec {
    FilesSpec {
        paths: paths.iter().map(|p| p.to_str().unwrap().to_owned()).collect(),
        excludes: excludes.iter().map(|e| (*e).to_owned()).collect(),
        one_file_system: true,
        sparse: false,
    }
}

pub fn target(path: &Path) -> RestoreTarget {
    RestoreTarget {
        path: path.to_str().unwrap().to_owned(),
        existing: ExistingPolicy::Refuse,
        layout: RestoreLayout::KeepPath,
        top_paths: Vec::new(),
        restore_owners: false,
        expected_entries: None,
        dry_run: false,
    }
}

pub async fn read_all(mut reader: FilesReader) -> Result<(Vec<u8>, SourceReport), Failure> {
    let mut all = Vec::new();
    while let Some(bytes) = reader.next().await? {
        all.extend_from_slice(&bytes);
    }
    Ok((all, reader.report().unwrap().clone()))
}

pub async fn read_boxed(mut reader: Box<dyn StreamReader>) -> Result<(Vec<u8>, SourceReport), Failure> {
    let mut all = Vec::new();
    while let Some(bytes) = reader.next().await? {
        all.extend_from_slice(&bytes);
    }
    Ok((all, reader.report().unwrap().clone()))
}

pub async fn restore(session: Session, target: &RestoreTarget, tar: &[u8]) -> Result<RestoreReport, Failure> {
    let mut writer = files_restore::open(session, target).await?;
    for piece in tar.chunks(100_000) {
        writer.write(Bytes::copy_from_slice(piece)).await?;
    }
    writer.finish().await
}

/// Names in a tar stream, in order.
pub fn names(tar: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(tar);
    archive.entries().unwrap().map(|e| String::from_utf8_lossy(&e.unwrap().path_bytes()).into_owned()).collect()
}

/// The last parts of the names below `root`, sorted.
pub fn below(tar: &[u8], root: &Path) -> Vec<String> {
    let prefix = format!("{}/", root.to_str().unwrap().trim_start_matches('/'));
    let mut list: Vec<String> = names(tar)
        .iter()
        .filter_map(|n| n.strip_prefix(&prefix))
        .filter(|n| !n.is_empty())
        .map(|n| n.trim_end_matches('/').to_owned())
        .collect();
    list.sort();
    list
}

pub fn warned(report: &SourceReport) -> Vec<(WarningCode, String)> {
    report.warnings.kept.iter().map(|w| (w.code, w.path.clone().unwrap_or_default())).collect()
}

pub fn write(path: &Path, content: &str, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, content).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn real(tool: &str) -> PathBuf {
    ["/usr/bin", "/bin", "/usr/sbin"].iter().map(|dir| Path::new(dir).join(tool)).find(|p| p.exists()).unwrap()
}

/// No staging folder anywhere in `dir`.
pub fn assert_no_staging(dir: &Path) {
    let left: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .filter_map(|e| e.unwrap().file_name().into_string().ok())
        .filter(|n| n.starts_with(".holdfast-"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

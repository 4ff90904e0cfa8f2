//! A server, a login and a peer for a test.

use holdfast_domain::Failure;
use holdfast_egress::{EgressDefault, EgressGuard};
use holdfast_remote::{Credential, Event, HostKeyExpectation, Peer, Running, Session, Timing};
use holdfast_testbed::sshd::{Login, Sshd, key_pair};
use secrecy::SecretString;
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
        sshd.authorize(login.name(), &public).unwrap();
        Self { sshd, login, key }
    }

    pub fn peer(&self) -> Peer {
        Peer {
            host: "127.0.0.1".into(),
            port: self.sshd.port(),
            username: self.login.name().into(),
            credential: Credential::PrivateKey(SecretString::from(self.key.clone())),
            host_key: HostKeyExpectation::Pinned(self.sshd.host_key().unwrap()),
        }
    }

    pub async fn session(&self) -> Session {
        Session::connect(&guard(), &self.peer()).await.unwrap()
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
}

pub fn guard() -> EgressGuard {
    EgressGuard::new(EgressDefault::PublicOnly, vec!["127.0.0.0/8".parse().unwrap()])
}

/// Faults are seen within seconds instead of a minute.
pub fn hasty() -> Timing {
    Timing { handshake: Duration::from_secs(5), keepalive: Duration::from_secs(1), silence: Duration::from_secs(60) }
}

/// Everything up to the end: output, errors, and the status or why there is none.
pub async fn outcome(running: &mut Running) -> (Vec<u8>, String, Result<u32, Failure>) {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let status = loop {
        match running.next().await {
            Ok(Event::Stdout(bytes)) => stdout.extend_from_slice(&bytes),
            Ok(Event::Stderr(bytes)) => stderr.extend_from_slice(&bytes),
            Ok(Event::Exited(status)) => break Ok(status),
            Err(failure) => break Err(failure),
        }
    };
    (stdout, String::from_utf8_lossy(&stderr).into_owned(), status)
}

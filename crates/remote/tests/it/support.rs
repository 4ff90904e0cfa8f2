//! A server, a login and a peer for a test.

use holdfast_domain::Failure;
use holdfast_egress::{EgressDefault, EgressGuard};
use holdfast_remote::{Credential, Event, HostKeyExpectation, Peer, Route, Running, Session, Timing, Transport};
use holdfast_testbed::sshd::{Login, Sshd, key_pair};
use secrecy::SecretString;
use std::time::{Duration, Instant};

/// One of the ways that a server is reached: what the suite says holds for each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    Russh,
    RusshThroughAJumpHost,
    Openssh,
    OpensshThroughAJumpHost,
}

impl Reach {
    pub fn has_jump_host(self) -> bool {
        matches!(self, Self::RusshThroughAJumpHost | Self::OpensshThroughAJumpHost)
    }

    pub fn is_openssh(self) -> bool {
        matches!(self, Self::Openssh | Self::OpensshThroughAJumpHost)
    }

    fn transport(self) -> Transport {
        if self.is_openssh() { Transport::Openssh { include: None } } else { Transport::Russh }
    }
}

/// One test for each way.
macro_rules! over_each_way {
    ($($test:ident),+ $(,)?) => {
        over_each_way!(@ russh, Russh, $($test),+);
        over_each_way!(@ russh_through_a_jump_host, RusshThroughAJumpHost, $($test),+);
        over_each_way!(@ openssh, Openssh, $($test),+);
        over_each_way!(@ openssh_through_a_jump_host, OpensshThroughAJumpHost, $($test),+);
    };
    (@ $way:ident, $reach:ident, $($test:ident),+) => {
        mod $way {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test(crate::support::Reach::$reach).await;
                }
            )+
        }
    };
}
pub(crate) use over_each_way;

pub struct Bench {
    pub reach: Reach,
    /// Which everything else may have been told to go through.
    pub jump: Option<Sshd>,
    pub sshd: Sshd,
    pub login: Login,
    pub key: String,
}

impl Bench {
    pub fn new(reach: Reach) -> Self {
        Self::with(reach, "", Login::create().unwrap())
    }

    /// A server, and a jump host where there is one, with these settings.
    pub fn with(reach: Reach, settings: &str, login: Login) -> Self {
        let sshd = Sshd::start_with(settings).unwrap();
        let (key, public) = key_pair().unwrap();
        sshd.authorize(login.name(), &public).unwrap();
        let jump = reach.has_jump_host().then(|| {
            let jump = Sshd::start().unwrap();
            jump.authorize(login.name(), &public).unwrap();
            jump
        });
        Self { reach, jump, sshd, login, key }
    }

    /// The way to the server.
    pub fn route(&self) -> Route {
        self.route_to(self.peer())
    }

    /// The way to something in its place.
    pub fn route_to(&self, peer: Peer) -> Route {
        let jumps = self.jump.iter().map(|jump| Peer {
            port: jump.port(),
            credential: Credential::PrivateKey(SecretString::from(self.key.clone())),
            host_key: HostKeyExpectation::Pinned(jump.host_key().unwrap()),
            ..self.peer()
        });
        Route { transport: self.reach.transport(), jumps: jumps.collect(), peer }
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
        Session::connect(&guard(), self.route()).await.unwrap()
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

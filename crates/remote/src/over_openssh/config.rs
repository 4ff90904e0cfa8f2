//! What `ssh` is told. Every value in it was checked or made by us: none may become a second word, line or option.

use crate::session::Timing;
use crate::{HostKeyExpectation, Peer, Route};
use holdfast_domain::host::Host;
use holdfast_domain::{Failure, FailureCode, Step};
use std::fmt::Write as _;
use std::net::IpAddr;
use std::path::Path;

/// For every server, whatever the operator's own file says: the first value that `ssh` finds counts.
const FIRST: &str = "\
    BatchMode yes
    PreferredAuthentications publickey
    PubkeyAuthentication yes
    PasswordAuthentication no
    KbdInteractiveAuthentication no
    IdentitiesOnly yes
    GlobalKnownHostsFile /dev/null
    CheckHostIP no
    VerifyHostKeyDNS no
    UpdateHostKeys no
    CanonicalizeHostname no
    ForwardAgent no
    ForwardX11 no
    Tunnel no
    PermitLocalCommand no
    ControlMaster no
    ControlPath none
    RequestTTY no
    EscapeChar none
    LogLevel DEBUG2
    TCPKeepAlive yes
    ServerAliveCountMax 2
";

/// Where the operator's file says nothing else: as over russh.
const LAST: &str = "
Host *
    Ciphers aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com
    Compression no
";

/// The files of one `ssh` in a private folder.
pub(super) struct Names<'a> {
    /// The folder.
    pub(super) folder: &'a Path,
    /// Which `ssh` of the connection it is.
    pub(super) number: usize,
}

impl Names<'_> {
    pub(super) fn config(&self) -> String {
        format!("config-{}", self.number)
    }

    /// What `ssh` itself says about the server at `at`.
    pub(super) fn log(&self, at: usize) -> String {
        format!("log-{}-{at}", self.number)
    }
}

/// The keys that the server at `at` presented, one a line.
pub(super) fn shown(at: usize) -> String {
    format!("shown-{at}")
}

/// The key that the server at `at` must present.
pub(super) fn known(at: usize) -> String {
    format!("known-{at}")
}

/// How the server at `at` is called on a command line: the operator's file can match it by its end.
pub(super) fn alias(at: usize, peer: &Peer) -> String {
    format!("holdfast{at}.{}", peer.host)
}

/// The line of [`known`]; empty where none is known.
pub(super) fn known_line(at: usize, peer: &Peer) -> String {
    match &peer.host_key {
        HostKeyExpectation::Pinned(line) => format!("server{at} {line}\n"),
        HostKeyExpectation::Unknown { .. } => String::new(),
    }
}

/// Refuses what would not be one plain word in the file.
pub(super) fn check(peer: &Peer) -> Result<(), Failure> {
    let refused = |what: &str| Failure::new(Step::Prepare, FailureCode::InvalidConfig, what);
    if !Host::parse(&peer.host).is_ok_and(|host| host.to_string() == peer.host) {
        return Err(refused("the server's address is none that `ssh` can be given."));
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-+@".contains(c);
    if peer.username.is_empty() || peer.username.starts_with('-') || !peer.username.chars().all(is_plain) {
        return Err(refused(
            "over the transport openssh a user name may have ASCII letters, digits and . _ - + @ only.",
        ));
    }
    if let HostKeyExpectation::Pinned(line) = &peer.host_key
        && crate::public_line(line).as_ref() != Some(line)
    {
        return Err(refused("the pinned host key cannot be read."));
    }
    Ok(())
}

/// The file. The first server is connected to at `vetted`, the address that the guard let pass; `include` is the
/// operator's own file, which can add to what we say but not change it.
pub(super) fn text(route: &Route, names: &Names<'_>, vetted: IpAddr, include: Option<&Path>, timing: Timing) -> String {
    let folder = names.folder.display();
    let mut text = String::new();
    let mut before: Option<String> = None;
    for (at, peer) in route.servers().enumerate() {
        let alias = alias(at, peer);
        let address = if at == 0 { vetted.to_string() } else { peer.host.clone() };
        let strict = match peer.host_key {
            // Into our own file, from which the caller pins it.
            HostKeyExpectation::Unknown { trust: true } => "accept-new",
            _ => "yes",
        };
        let proxy = match (&before, at.checked_sub(1)) {
            (Some(jump), Some(hop)) => {
                format!("ssh -F {folder}/{} -E {folder}/{} -W '[%h]:%p' -- {jump}", names.config(), names.log(hop))
            }
            _ => "none".to_owned(),
        };
        let _ = write!(
            text,
            "Host {alias}
    HostName {address}
    Port {}
    User {}
    HostKeyAlias server{at}
    IdentityFile {folder}/key-{at}
    IdentityAgent {folder}/agent
    UserKnownHostsFile {folder}/{}
    StrictHostKeyChecking {strict}
    KnownHostsCommand /bin/sh -c 'printf \"%%s %%s\\n\" \"$1\" \"$2\" >>\"$0\"' {folder}/{} %t %K
    ProxyCommand {proxy}
",
            peer.port,
            peer.username,
            known(at),
            shown(at),
        );
        before = Some(alias);
    }
    let secs = |time: std::time::Duration| time.as_secs_f64().ceil().max(1.0);
    let _ = write!(
        text,
        "Host *
{FIRST}    ConnectTimeout {}
    ServerAliveInterval {}
",
        secs(timing.handshake),
        secs(timing.keepalive)
    );
    if let Some(include) = include {
        let _ = writeln!(text, "    Include \"{}\"", include.display());
    }
    text + LAST
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Credential, Transport};
    use secrecy::SecretString;

    fn peer(host: &str, username: &str) -> Peer {
        Peer {
            host: host.to_owned(),
            port: 22,
            username: username.to_owned(),
            credential: Credential::PrivateKey(SecretString::from("CANARY")),
            host_key: HostKeyExpectation::Unknown { trust: false },
        }
    }

    #[test]
    fn what_is_no_plain_word_is_refused() {
        for good in ["203.0.113.1", "2001:db8::1", "web-1.example.com", "localhost"] {
            assert!(check(&peer(good, "svc_backup")).is_ok(), "{good}");
        }
        for bad in [
            "a b",
            "a\nProxyCommand touch /tmp/x",
            "-oProxyCommand=x",
            "a'b",
            "$(id)",
            "a;b",
            "%h",
            "*",
            "A.example",
            "",
        ] {
            assert!(check(&peer(bad, "root")).is_err(), "{bad}");
        }
        for bad in ["a b", "a\nb", "-l", "a\"b", "%r", "$(id)", "a\\b", "jürgen", ""] {
            assert!(check(&peer("h.example", bad)).is_err(), "{bad}");
        }
        let broken = HostKeyExpectation::Pinned("ssh-ed25519 AAAA\nx".to_owned());
        assert!(check(&Peer { host_key: broken, ..peer("h.example", "root") }).is_err());
    }

    #[test]
    fn each_server_has_its_own_key_file_and_nothing_secret_is_in_it() {
        let route = Route {
            transport: Transport::Openssh { include: None },
            jumps: vec![peer("bastion.example", "a")],
            peer: peer("10.0.0.5", "b"),
        };
        let names = Names { folder: Path::new("/tmp/holdfast-ssh-1"), number: 0 };
        let text =
            text(&route, &names, "203.0.113.9".parse().unwrap(), Some(Path::new("/etc/own ssh")), Timing::default());
        assert!(!text.contains("CANARY") && !text.contains("HostName bastion"), "{text}");
        for line in [
            "Host holdfast0.bastion.example\n    HostName 203.0.113.9\n",
            "HostName 10.0.0.5\n",
            "UserKnownHostsFile /tmp/holdfast-ssh-1/known-1\n    StrictHostKeyChecking yes\n",
            "ProxyCommand ssh -F /tmp/holdfast-ssh-1/config-0 -E /tmp/holdfast-ssh-1/log-0-0 -W '[%h]:%p' -- holdfast0.bastion.example\n",
            "    Include \"/etc/own ssh\"\n",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        assert!(text.find("ForwardAgent no") < text.find("Include"), "the operator's file changes nothing of ours");
    }
}

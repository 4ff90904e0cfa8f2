//! Who is let in, and what is never offered to whom.

use crate::support::{Bench, Reach, guard, hasty, over_each_way};
use holdfast_domain::FailureCode;
use holdfast_egress::{EgressDefault, EgressGuard};
use holdfast_remote::{ConnectError, Credential, HostKeyExpectation, Peer, Session};
use holdfast_testbed::sshd::{Login, key_pair};
use secrecy::SecretString;
use std::fs::read;
use std::process::Command;
use std::time::Instant;

async fn refusal(bench: &Bench, peer: Peer) -> ConnectError {
    Session::connect_with(&guard(), bench.route_to(peer), hasty()).await.err().expect("the connection was refused")
}

async fn a_changed_host_key_is_refused_before_anything_is_offered(reach: Reach) {
    let mut bench = Bench::new(reach);
    let route = bench.route();
    bench.sshd.swap_host_key().unwrap();
    let error = Session::connect_with(&guard(), &route, hasty()).await.err().unwrap();
    assert_eq!(error.failure.code, FailureCode::HostKeyChanged, "{error}");
    assert_eq!(error.at(), route.jumps.len());
    assert_eq!(error.presented_host_key(), Some(bench.sshd.host_key().unwrap().as_str()));
    assert_eq!(bench.sshd.auth_attempts(), 0, "{}", bench.sshd.log());
}

async fn a_changed_key_of_a_jump_host_is_refused_before_anything_is_offered(reach: Reach) {
    let mut bench = Bench::new(reach);
    let route = bench.route();
    let Some(jump) = &mut bench.jump else { return };
    jump.swap_host_key().unwrap();
    let before = bench.sshd.log().matches("Connection from").count();
    let error = Session::connect_with(&guard(), &route, hasty()).await.err().unwrap();
    assert_eq!(error.failure.code, FailureCode::HostKeyChanged, "{error}");
    assert!(error.failure.detail.starts_with("at the jump host 127.0.0.1 port"), "{error}");
    assert_eq!(error.presented_host_keys, [Some(jump.host_key().unwrap())]);
    assert_eq!(jump.auth_attempts(), 0, "{}", jump.log());
    assert_eq!(bench.sshd.log().matches("Connection from").count(), before);
}

async fn an_unconfirmed_host_key_is_shown_and_nothing_is_offered(reach: Reach) {
    let bench = Bench::new(reach);
    let unknown = |trust| {
        let mut route = bench.route();
        let peers = route.jumps.iter_mut().chain([&mut route.peer]);
        peers.for_each(|peer| peer.host_key = HostKeyExpectation::Unknown { trust });
        route
    };
    let error = Session::connect_with(&guard(), unknown(false), hasty()).await.err().unwrap();
    assert_eq!(error.failure.code, FailureCode::HostKeyUnconfirmed, "{error}");
    assert!(error.failure.detail.contains("SHA256:"), "{}", error.failure);
    let first = bench.jump.as_ref().unwrap_or(&bench.sshd);
    assert_eq!(error.presented_host_key(), Some(first.host_key().unwrap().as_str()));
    assert_eq!(first.auth_attempts(), 0, "{}", first.log());

    let session = Session::connect(&guard(), unknown(true)).await.unwrap();
    assert_eq!(session.host_key(), bench.sshd.host_key().unwrap());
    assert_eq!(session.host_keys().first(), Some(&first.host_key().unwrap()));
}

async fn a_wrong_key_and_a_key_that_is_none_are_refused(reach: Reach) {
    let bench = Bench::new(reach);
    let with_key = |pem: &str| Peer { credential: Credential::PrivateKey(SecretString::from(pem)), ..bench.peer() };
    let (other, _) = key_pair().unwrap();
    let error = refusal(&bench, with_key(&other)).await;
    assert_eq!(error.failure.code, FailureCode::AuthenticationFailed, "{error}");
    assert_eq!(refusal(&bench, with_key("no key")).await.failure.code, FailureCode::SecretUnavailable);
}

async fn an_rsa_key_logs_in_without_sha_1(reach: Reach) {
    let bench = Bench::new(reach);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "rsa", "-b", "3072", "-N", "", "-f"]).arg(&file).status();
    assert!(made.unwrap().success());
    let (pem, public) = (read(&file).unwrap(), read(file.with_extension("pub")).unwrap());
    bench.sshd.authorize(bench.login.name(), &String::from_utf8(public).unwrap()).unwrap();
    let credential = Credential::PrivateKey(SecretString::from(String::from_utf8(pem).unwrap()));
    Session::connect(&guard(), bench.route_to(Peer { credential, ..bench.peer() })).await.unwrap();
    assert!(bench.sshd.log().contains("Accepted publickey"), "{}", bench.sshd.log());
}

async fn passwords_work_directly_and_as_the_answer_to_a_question(reach: Reach) {
    let password = "p'a\"s $(touch /tmp/pwn) `x` é#\\: end ";
    for settings in ["PasswordAuthentication yes", "UsePAM yes\nKbdInteractiveAuthentication yes"] {
        let bench = Bench::with(reach, settings, Login::create_with("/bin/sh", Some(password)).unwrap());
        let with = |text: &str| Peer { credential: Credential::Password(SecretString::from(text)), ..bench.peer() };
        if reach.is_openssh() {
            assert_eq!(refusal(&bench, with(password)).await.failure.code, FailureCode::InvalidConfig);
            assert_eq!(bench.sshd.auth_attempts(), 0);
            continue;
        }
        Session::connect(&guard(), bench.route_to(with(password))).await.unwrap();
        let error = refusal(&bench, with("wrong")).await;
        assert_eq!(error.failure.code, FailureCode::AuthenticationFailed, "{settings}: {error}");
        assert!(!error.failure.to_string().contains("wrong "), "{error}");
    }
}

async fn a_server_that_is_not_there_or_not_ssh_is_named_in_time(reach: Reach) {
    let bench = Bench::new(reach);
    let at = |host: &str, port| Peer { host: host.into(), port, ..bench.peer() };
    // A jump host resolves by itself and says only that it could not connect.
    let unknown = if reach.has_jump_host() { FailureCode::ConnectFailed } else { FailureCode::ServerUnknown };
    assert_eq!(refusal(&bench, at("no-such-host.invalid", 22)).await.failure.code, unknown);
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let begun = Instant::now();
    let error = refusal(&bench, at("127.0.0.1", port)).await;
    assert_eq!(error.failure.code, FailureCode::HandshakeFailed, "{error}");
    assert!(begun.elapsed() < hasty().handshake * 4);
    drop(silent);
    let error = refusal(&bench, at("127.0.0.1", port)).await;
    assert_eq!(error.failure.code, FailureCode::ConnectFailed, "{error}");
    assert_eq!(error.at(), bench.route().jumps.len());
}

async fn a_jump_host_that_forwards_nothing_is_named(reach: Reach) {
    let bench = Bench::new(reach);
    if !reach.has_jump_host() {
        return;
    }
    // What a jump host's line must not say.
    let shut = Bench::with(reach, "AllowTcpForwarding no", Login::create().unwrap());
    let mut route = bench.route();
    let (name, key) = (shut.login.name().to_owned(), Credential::PrivateKey(SecretString::from(shut.key.clone())));
    route.jumps = vec![Peer { username: name, credential: key, ..shut.peer() }];
    let error = Session::connect_with(&guard(), &route, hasty()).await.err().unwrap();
    assert_eq!((error.failure.code, error.at()), (FailureCode::ConnectFailed, 1), "{error}");
    assert!(error.failure.detail.starts_with("the jump host has no connection"), "{error}");
}

async fn an_address_that_is_not_allowed_sees_no_connection(reach: Reach) {
    let bench = Bench::new(reach);
    let seen = || {
        let all = bench.jump.iter().chain([&bench.sshd]);
        all.map(|sshd| sshd.log().matches("Connection from").count()).sum::<usize>()
    };
    let before = seen();
    let shut = EgressGuard::new(EgressDefault::PrivateToo, Vec::new());
    let error = Session::connect(&shut, bench.route()).await.err().unwrap();
    assert_eq!((error.failure.code, error.at()), (FailureCode::BlockedEgress, 0));
    assert_eq!(seen(), before);
}

async fn a_server_without_safe_algorithms_is_refused(reach: Reach) {
    let bench = Bench::with(reach, "Ciphers aes128-ctr", Login::create().unwrap());
    let error = refusal(&bench, bench.peer()).await;
    assert_eq!(error.failure.code, FailureCode::HandshakeFailed, "{error}");
    assert!(error.failure.detail.contains("aes128-ctr"), "{error}");
    for ciphers in ["aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"] {
        let bench = Bench::with(reach, &format!("Ciphers {ciphers}"), Login::create().unwrap());
        Session::connect(&guard(), bench.route()).await.unwrap();
    }
}

over_each_way! {
    a_changed_host_key_is_refused_before_anything_is_offered,
    a_changed_key_of_a_jump_host_is_refused_before_anything_is_offered,
    an_unconfirmed_host_key_is_shown_and_nothing_is_offered,
    a_wrong_key_and_a_key_that_is_none_are_refused,
    an_rsa_key_logs_in_without_sha_1,
    passwords_work_directly_and_as_the_answer_to_a_question,
    a_server_that_is_not_there_or_not_ssh_is_named_in_time,
    a_jump_host_that_forwards_nothing_is_named,
    an_address_that_is_not_allowed_sees_no_connection,
    a_server_without_safe_algorithms_is_refused,
}

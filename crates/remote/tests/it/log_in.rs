//! Who is let in, and what is never offered to whom.

use crate::support::{Bench, guard, hasty};
use holdfast_domain::FailureCode;
use holdfast_egress::{EgressDefault, EgressGuard};
use holdfast_remote::{ConnectError, Credential, HostKeyExpectation, Peer, Session};
use holdfast_testbed::sshd::{Login, key_pair};
use secrecy::SecretString;
use std::time::Instant;

async fn refusal(peer: &Peer) -> ConnectError {
    Session::connect_with(&guard(), peer, hasty()).await.err().expect("the connection was refused")
}

#[tokio::test]
async fn a_changed_host_key_is_refused_before_anything_is_offered() {
    let mut bench = Bench::new();
    let peer = bench.peer();
    bench.sshd.swap_host_key().unwrap();
    let error = refusal(&peer).await;
    assert_eq!(error.failure.code, FailureCode::HostKeyChanged);
    assert_eq!(error.presented_host_key(), Some(bench.sshd.host_key().unwrap().as_str()));
    assert_eq!(bench.sshd.auth_attempts(), 0, "{}", bench.sshd.log());
}

#[tokio::test]
async fn an_unconfirmed_host_key_is_shown_and_nothing_is_offered() {
    let bench = Bench::new();
    let unknown = |trust| Peer { host_key: HostKeyExpectation::Unknown { trust }, ..bench.peer() };
    let error = refusal(&unknown(false)).await;
    assert_eq!(error.failure.code, FailureCode::HostKeyUnconfirmed);
    assert!(error.failure.detail.contains("SHA256:"), "{}", error.failure);
    assert_eq!(error.presented_host_key(), Some(bench.sshd.host_key().unwrap().as_str()));
    assert_eq!(bench.sshd.auth_attempts(), 0, "{}", bench.sshd.log());

    let session = Session::connect(&guard(), &unknown(true)).await.unwrap();
    assert_eq!(session.host_key(), bench.sshd.host_key().unwrap());
}

#[tokio::test]
async fn a_wrong_key_and_a_key_that_is_none_are_refused() {
    let bench = Bench::new();
    let with_key = |pem: &str| Peer { credential: Credential::PrivateKey(SecretString::from(pem)), ..bench.peer() };
    let (other, _) = key_pair().unwrap();
    assert_eq!(refusal(&with_key(&other)).await.failure.code, FailureCode::AuthenticationFailed);
    assert_eq!(refusal(&with_key("no key")).await.failure.code, FailureCode::SecretUnavailable);
}

#[tokio::test]
async fn passwords_work_directly_and_as_the_answer_to_a_question() {
    let password = "p'a\"s $(touch /tmp/pwn) `x` é#\\: end ";
    for settings in ["PasswordAuthentication yes", "UsePAM yes\nKbdInteractiveAuthentication yes"] {
        let bench = Bench::with(settings, Login::create_with("/bin/sh", Some(password)).unwrap());
        let with = |text: &str| Peer { credential: Credential::Password(SecretString::from(text)), ..bench.peer() };
        Session::connect(&guard(), &with(password)).await.unwrap();
        let error = refusal(&with("wrong")).await;
        assert_eq!(error.failure.code, FailureCode::AuthenticationFailed, "{settings}: {error}");
        assert!(!error.failure.to_string().contains("wrong "), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_or_not_ssh_is_named_in_time() {
    let bench = Bench::new();
    let at = |host: &str, port| Peer { host: host.into(), port, ..bench.peer() };
    assert_eq!(refusal(&at("no-such-host.invalid", 22)).await.failure.code, FailureCode::ServerUnknown);
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let begun = Instant::now();
    assert_eq!(refusal(&at("127.0.0.1", port)).await.failure.code, FailureCode::HandshakeFailed);
    assert!(begun.elapsed() < hasty().handshake * 2);
    drop(silent);
    assert_eq!(refusal(&at("127.0.0.1", port)).await.failure.code, FailureCode::ConnectFailed);
}

#[tokio::test]
async fn an_address_that_is_not_allowed_sees_no_connection() {
    let bench = Bench::new();
    let before = bench.sshd.log().matches("Connection from").count();
    let shut = EgressGuard::new(EgressDefault::PrivateToo, Vec::new());
    let error = Session::connect(&shut, &bench.peer()).await.err().unwrap();
    assert_eq!(error.failure.code, FailureCode::BlockedEgress);
    assert_eq!(bench.sshd.log().matches("Connection from").count(), before);
}

#[tokio::test]
async fn a_server_without_safe_algorithms_is_refused() {
    let login = Login::create().unwrap();
    let bench = Bench::with("Ciphers aes128-ctr", login);
    let error = refusal(&bench.peer()).await;
    assert_eq!(error.failure.code, FailureCode::HandshakeFailed);
    assert!(error.failure.detail.contains("aes128-ctr"), "{error}");
    for ciphers in ["aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"] {
        let bench = Bench::with(&format!("Ciphers {ciphers}"), Login::create().unwrap());
        Session::connect(&guard(), &bench.peer()).await.unwrap();
    }
}

//! Cut, stalled and slow links; programs that must not outlive their client.

use crate::support::{Bench, guard, hasty, outcome};
use bytes::Bytes;
use holdfast_domain::FailureCode;
use holdfast_remote::{Event, Peer, Running, Session};
use holdfast_testbed::fault_proxy::{Fault, FaultProxy, LinkPlan};
use holdfast_testbed::sshd::Login;
use std::time::{Duration, Instant};

/// 64 MiB, then an end that looks like any other.
const STREAM: &str = "die_with_input; head -c 67108864 /dev/zero; rest";

/// A child that says nothing: without the watcher it outlives its client.
const SILENT: &str = "die_with_input; printf x; sleep 1000 & sleep 1000 & sleep 1000; rest";

async fn through(bench: &Bench, plan: LinkPlan) -> (FaultProxy, Peer) {
    let proxy = FaultProxy::start(([127, 0, 0, 1], bench.sshd.port()).into(), plan).await.unwrap();
    let peer = Peer { port: proxy.port(), ..bench.peer() };
    (proxy, peer)
}

async fn first_byte(running: &mut Running) {
    while !matches!(running.next().await.unwrap(), Event::Stdout(_)) {}
}

#[tokio::test]
async fn a_cut_link_is_never_taken_for_the_end() {
    let bench = Bench::new();
    for (fault, code) in [
        (Fault::Fin, FailureCode::ConnectionLost),
        (Fault::Rst, FailureCode::ConnectionLost),
        (Fault::Stall, FailureCode::Stalled),
    ] {
        let (_proxy, peer) = through(&bench, LinkPlan { fault, after_bytes: 20 << 20, ..LinkPlan::default() }).await;
        let mut session = Session::connect_with(&guard(), &peer, hasty()).await.unwrap();
        let mut running = session.start(STREAM, &[]).await.unwrap();
        let begun = Instant::now();
        let (stdout, _, status) = outcome(&mut running).await;
        assert!(!stdout.is_empty() && stdout.len() < 67_108_864, "{fault:?}: {}", stdout.len());
        assert_eq!(status.unwrap_err().code, code, "{fault:?}");
        assert!(begun.elapsed() < hasty().keepalive * 6, "{fault:?}: {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_link_that_stalls_while_we_write_is_noticed() {
    let bench = Bench::new();
    let (proxy, peer) = through(&bench, LinkPlan::default()).await;
    let mut session = Session::connect_with(&guard(), &peer, hasty()).await.unwrap();
    let mut running = session.start("cat >/dev/null", &[]).await.unwrap();
    let piece = Bytes::from(vec![0_u8; 1 << 20]);
    running.write(piece.clone()).await.unwrap();
    proxy.strike(Fault::Stall);
    let begun = Instant::now();
    let failure = loop {
        if let Err(failure) = running.write(piece.clone()).await {
            break failure;
        }
    };
    assert_eq!(failure.code, FailureCode::Stalled, "{failure}");
    assert!(begun.elapsed() < hasty().keepalive * 8, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn nothing_is_left_on_the_server_when_the_client_goes() {
    let bench = Bench::new();
    for fault in [Fault::Fin, Fault::Rst] {
        let (proxy, peer) = through(&bench, LinkPlan::default()).await;
        let mut session = Session::connect_with(&guard(), &peer, hasty()).await.unwrap();
        let mut running = session.start(SILENT, &[]).await.unwrap();
        first_byte(&mut running).await;
        bench.await_process("sleep 1000").await;
        proxy.strike(fault);
        let left = bench.left_after(Duration::from_secs(5)).await;
        assert!(left.is_empty(), "{fault:?}: {left:?}");
    }
    let mut dropped = bench.session().await.start(SILENT, &[]).await.unwrap();
    first_byte(&mut dropped).await;
    drop(dropped);
    let left = bench.left_after(Duration::from_secs(5)).await;
    assert!(left.is_empty(), "dropped: {left:?}");
}

#[tokio::test]
async fn a_cancel_ends_the_program_and_says_so_from_a_look_at_the_server() {
    let bench = Bench::new();
    let mut running = bench.session().await.start(SILENT, &[]).await.unwrap();
    first_byte(&mut running).await;
    assert!(running.cancel().await.process_terminated);
    let left = bench.left_after(Duration::from_secs(2)).await;
    assert!(left.is_empty(), "{left:?}");
    // At once, before a line was read; and in full flow, with nobody reading.
    let early = bench.session().await.start(SILENT, &[]).await.unwrap();
    assert!(early.cancel().await.process_terminated);
    let mut flowing = bench.session().await.start("die_with_input; cat /dev/zero", &[]).await.unwrap();
    first_byte(&mut flowing).await;
    assert!(flowing.cancel().await.process_terminated);
}

#[tokio::test]
async fn a_program_that_does_not_die_by_itself_is_killed_by_the_cancel() {
    let bench = Bench::new();
    let mut running = bench.session().await.start("printf x; sleep 1000", &[]).await.unwrap();
    first_byte(&mut running).await;
    let begun = Instant::now();
    assert!(running.cancel().await.process_terminated);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(bench.left_after(Duration::from_secs(2)).await.is_empty());
}

#[tokio::test]
async fn a_cancel_behind_a_dead_link_claims_nothing() {
    let bench = Bench::new();
    let (proxy, peer) = through(&bench, LinkPlan { fault: Fault::Stall, after_bytes: 1, ..LinkPlan::default() }).await;
    drop(proxy);
    let (proxy, good) = through(&bench, LinkPlan::default()).await;
    let mut session = Session::connect_with(&guard(), &good, hasty()).await.unwrap();
    let mut running = session.start(SILENT, &[]).await.unwrap();
    first_byte(&mut running).await;
    proxy.strike(Fault::Stall);
    drop(proxy);
    assert!(!running.cancel().await.process_terminated, "{}", peer.port);
}

#[tokio::test]
async fn a_reader_that_stands_still_does_not_lose_a_server_that_checks_liveness() {
    let login = Login::create().unwrap();
    let bench = Bench::with("ClientAliveInterval 1\nClientAliveCountMax 3", login);
    let mut running = bench.session().await.start(STREAM, &[]).await.unwrap();
    first_byte(&mut running).await;
    // Three times what the server waits. Standing still is what is tested, so this is no wait for something.
    tokio::time::sleep(Duration::from_secs(12)).await;
    let (_, stderr, status) = outcome(&mut running).await;
    assert_eq!(status, Ok(0), "{stderr} {}", bench.sshd.log());
}

//! Cut, stalled and slow links; programs that must not outlive their client.

use crate::support::{Bench, Reach, guard, hasty, outcome, over_each_way};
use bytes::Bytes;
use holdfast_domain::FailureCode;
use holdfast_remote::{Event, Peer, Route, Running, Session};
use holdfast_testbed::fault_proxy::{Fault, FaultProxy, LinkPlan};
use holdfast_testbed::sshd::Login;
use std::time::{Duration, Instant};

/// 64 MiB, then an end that looks like any other.
const STREAM: &str = "die_with_input; head -c 67108864 /dev/zero; rest";

/// A child that says nothing: without the watcher it outlives its client.
const SILENT: &str = "die_with_input; printf x; sleep 1000 & sleep 1000 & sleep 1000; rest";

/// The way to the server, with a proxy in front of the first of its servers: what the worker itself is connected to.
async fn through(bench: &Bench, plan: LinkPlan) -> (FaultProxy, Route) {
    let first = bench.jump.as_ref().unwrap_or(&bench.sshd).port();
    let proxy = FaultProxy::start(([127, 0, 0, 1], first).into(), plan).await.unwrap();
    let mut route = bench.route();
    let first = route.jumps.first_mut().unwrap_or(&mut route.peer);
    first.port = proxy.port();
    (proxy, route)
}

/// The same with the proxy in front of the server.
async fn last_part_through(bench: &Bench, plan: LinkPlan) -> (FaultProxy, Route) {
    let proxy = FaultProxy::start(([127, 0, 0, 1], bench.sshd.port()).into(), plan).await.unwrap();
    let route = bench.route_to(Peer { port: proxy.port(), ..bench.peer() });
    (proxy, route)
}

async fn first_byte(running: &mut Running) {
    while !matches!(running.next().await.unwrap(), Event::Stdout(_)) {}
}

async fn a_cut_link_is_never_taken_for_the_end(reach: Reach) {
    let bench = Bench::new(reach);
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

/// The status is sent when the program ends, while what it wrote still waits behind a slow link.
async fn a_cut_after_the_status_and_before_the_last_output_is_no_end(reach: Reach) {
    let bench = Bench::new(reach);
    let slow = LinkPlan { bytes_per_second: 400_000, ..LinkPlan::default() };
    let (proxy, route) = last_part_through(&bench, slow).await;
    let mut session = Session::connect_with(&guard(), &route, hasty()).await.unwrap();
    // The child holds what is written, the program itself is over at once.
    let mut running = session.start("head -c 8388608 /dev/zero & exit 0", &[]).await.unwrap();
    first_byte(&mut running).await;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(2) {
        let _ = running.next().await.unwrap();
    }
    proxy.strike(Fault::Fin);
    let (stdout, _, status) = outcome(&mut running).await;
    assert!(stdout.len() < 8_388_608, "{}", stdout.len());
    assert_eq!(status.unwrap_err().code, FailureCode::ConnectionLost);
}

/// Far beyond every buffer and, at 5 GB, beyond what a connection carries before it changes its keys by itself.
/// `HOLDFAST_STREAM_BYTES` says how much; memory must not follow it.
async fn much_output_arrives_whole_in_flat_memory(reach: Reach) {
    let bytes: u64 = std::env::var("HOLDFAST_STREAM_BYTES").map_or(256 << 20, |text| text.parse().unwrap());
    let bench = Bench::new(reach);
    let mut running = bench
        .session()
        .await
        .start("field; die_with_input; head -c \"$v\" /dev/zero; rest", &[bytes.to_string().as_bytes()])
        .await
        .unwrap();
    let (mut arrived, mut most_kib) = (0_u64, 0);
    let begun = Instant::now();
    loop {
        match running.next().await.unwrap() {
            Event::Stdout(piece) => arrived += piece.len() as u64,
            Event::Stderr(_) => {}
            Event::Exited(status) => break assert_eq!(status, 0),
        }
        if arrived % (64 << 20) < 65_536 {
            most_kib = most_kib.max(resident_kib());
        }
    }
    assert_eq!(arrived, bytes);
    assert!(most_kib < 96 * 1024, "{most_kib} KiB");
    let rate = (arrived >> 20) as f64 / begun.elapsed().as_secs_f64();
    println!("{reach:?}: {arrived} bytes, {rate:.0} MiB/s, {most_kib} KiB resident at most");
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

async fn a_link_that_stalls_while_we_write_is_noticed(reach: Reach) {
    let bench = Bench::new(reach);
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

async fn nothing_is_left_on_the_server_when_the_client_goes(reach: Reach) {
    let bench = Bench::new(reach);
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

async fn a_cancel_ends_the_program_and_says_so_from_a_look_at_the_server(reach: Reach) {
    let bench = Bench::new(reach);
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

async fn a_program_that_does_not_die_by_itself_is_killed_by_the_cancel(reach: Reach) {
    let bench = Bench::new(reach);
    let mut running = bench.session().await.start("printf x; sleep 1000", &[]).await.unwrap();
    first_byte(&mut running).await;
    let begun = Instant::now();
    assert!(running.cancel().await.process_terminated);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(bench.left_after(Duration::from_secs(2)).await.is_empty());
}

async fn a_cancel_behind_a_dead_link_claims_nothing(reach: Reach) {
    let bench = Bench::new(reach);
    let (proxy, peer) = through(&bench, LinkPlan { fault: Fault::Stall, after_bytes: 1, ..LinkPlan::default() }).await;
    drop(proxy);
    let (proxy, good) = through(&bench, LinkPlan::default()).await;
    let mut session = Session::connect_with(&guard(), &good, hasty()).await.unwrap();
    let mut running = session.start(SILENT, &[]).await.unwrap();
    first_byte(&mut running).await;
    proxy.strike(Fault::Stall);
    drop(proxy);
    assert!(!running.cancel().await.process_terminated, "{}", peer.peer.port);
}

async fn a_reader_that_stands_still_does_not_lose_a_server_that_checks_liveness(reach: Reach) {
    let login = Login::create().unwrap();
    let bench = Bench::with(reach, "ClientAliveInterval 1\nClientAliveCountMax 3", login);
    let mut running = bench.session().await.start(STREAM, &[]).await.unwrap();
    first_byte(&mut running).await;
    // Three times what the server waits. Standing still is what is tested, so this is no wait for something.
    tokio::time::sleep(Duration::from_secs(12)).await;
    let (_, stderr, status) = outcome(&mut running).await;
    assert_eq!(status, Ok(0), "{stderr} {}", bench.sshd.log());
}

over_each_way! {
    a_cut_link_is_never_taken_for_the_end,
    a_cut_after_the_status_and_before_the_last_output_is_no_end,
    much_output_arrives_whole_in_flat_memory,
    a_link_that_stalls_while_we_write_is_noticed,
    nothing_is_left_on_the_server_when_the_client_goes,
    a_cancel_ends_the_program_and_says_so_from_a_look_at_the_server,
    a_program_that_does_not_die_by_itself_is_killed_by_the_cancel,
    a_cancel_behind_a_dead_link_claims_nothing,
    a_reader_that_stands_still_does_not_lose_a_server_that_checks_liveness,
}

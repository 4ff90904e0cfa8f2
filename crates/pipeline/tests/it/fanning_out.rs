//! Several destinations, some of them failing or slow.

use crate::support::{Kept, MemorySink, digest, noise};
use async_trait::async_trait;
use bytes::Bytes;
use holdfast_domain::manifest::Digest;
use holdfast_domain::{Failure, FailureCode, Step};
use holdfast_pipeline::{NextObject, Sink, Target, TargetMeter, TargetState, fan_out};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

fn full() -> Failure {
    Failure::new(Step::Stream, FailureCode::DestinationFull, "No room.")
}

fn target(sink: impl Sink + 'static) -> (Target, Arc<TargetMeter>) {
    let meter = Arc::new(TargetMeter::default());
    (Target { sink: Box::new(sink), next: None, meter: meter.clone() }, meter)
}

fn state(kept: &Mutex<Kept>) -> (usize, bool, bool) {
    let kept = kept.lock().expect("no panic while locked");
    (kept.bytes.len(), kept.is_committed, kept.is_aborted)
}

/// Sends `bytes` in chunks; says how many were taken.
async fn pump(to: mpsc::Sender<Bytes>, bytes: &[u8]) -> usize {
    let mut taken = 0;
    for chunk in bytes.chunks(1000) {
        if to.send(Bytes::copy_from_slice(chunk)).await.is_err() {
            break;
        }
        taken += chunk.len();
    }
    taken
}

#[tokio::test]
async fn one_that_fails_is_left_out_and_the_others_hold_everything() {
    let bytes = noise(50_000, 1);
    let (good, kept_good) = MemorySink::new();
    let (mut bad, kept_bad) = MemorySink::new();
    bad.fails_at = Some((20_000, full()));
    let ((good, good_meter), (bad, bad_meter)) = (target(good), target(bad));
    let (to, body) = mpsc::channel(2);
    let cancel = CancellationToken::new();
    let (taken, written) = tokio::join!(pump(to, &bytes), fan_out(body, vec![bad, good], u64::MAX, &cancel));
    let written = written.expect("one is left");
    assert_eq!(taken, bytes.len());
    assert_eq!(written.failures(), vec![Some(full()), None]);
    assert_eq!(state(&kept_good), (50_000, false, false), "nothing is committed by the end of the bytes");
    let results = written.commit(&[digest(&bytes)]).await;
    assert_eq!(results[0], Err(full()));
    assert_eq!(results[1].as_ref().expect("holds it")[0].digest, digest(&bytes));
    assert_eq!(state(&kept_good), (50_000, true, false));
    assert_eq!(state(&kept_bad), (20_000, false, true), "it gets nothing more once it failed");
    assert_eq!((good_meter.state(), bad_meter.state()), (TargetState::Committed, TargetState::Failed));
    assert_eq!(good_meter.stored(), 50_000);
}

#[tokio::test]
async fn when_all_fail_the_sender_is_stopped() {
    let (mut first, kept_first) = MemorySink::new();
    let (mut second, kept_second) = MemorySink::new();
    first.fails_at = Some((1, full()));
    second.fails_at = Some((5_000, full()));
    let (to, body) = mpsc::channel(2);
    let (bytes, cancel) = (noise(50_000, 1), CancellationToken::new());
    let targets = vec![target(first).0, target(second).0];
    let (taken, written) = tokio::join!(pump(to, &bytes), fan_out(body, targets, u64::MAX, &cancel));
    assert_eq!(written.err().expect("none is left"), full());
    assert!(taken < 10_000, "{taken} bytes were taken");
    assert!(state(&kept_first).2 && state(&kept_second).2);
}

#[tokio::test]
async fn the_slowest_sets_the_pace() {
    let (slow_gate, gate) = mpsc::channel(1);
    let (mut slow, _) = MemorySink::new();
    slow.gate = Some(gate);
    let (fast, kept_fast) = MemorySink::new();
    let (to, body) = mpsc::channel(2);
    let (bytes, cancel) = (noise(50_000, 1), CancellationToken::new());
    let drive = async {
        for _ in 0..3 {
            slow_gate.send(()).await.expect("the slow one waits");
        }
        // The fast one is at most one chunk ahead, however long the slow one takes.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(state(&kept_fast).0 <= 5_000, "{} bytes", state(&kept_fast).0);
        drop(slow_gate);
    };
    let targets = vec![target(slow).0, target(fast).0];
    let (taken, written, ()) = tokio::join!(pump(to, &bytes), fan_out(body, targets, u64::MAX, &cancel), drive);
    assert_eq!(taken, bytes.len());
    written.expect("both hold it").abort().await;
}

#[tokio::test]
async fn a_cancel_aborts_everything_even_while_a_destination_hangs() {
    let (_never, gate) = mpsc::channel(1);
    let (mut hung, kept) = MemorySink::new();
    hung.gate = Some(gate);
    let (to, body) = mpsc::channel(2);
    let (bytes, cancel) = (noise(50_000, 1), CancellationToken::new());
    let stop = async {
        tokio::task::yield_now().await;
        cancel.cancel();
    };
    let fanned = fan_out(body, vec![target(hung).0], u64::MAX, &cancel);
    let all = async { tokio::join!(pump(to, &bytes), fanned, stop) };
    let (_, written, ()) = tokio::time::timeout(Duration::from_secs(10), all).await.expect("it ends");
    assert_eq!(written.err().expect("cancelled").code, FailureCode::Cancelled);
    assert_eq!(state(&kept), (0, false, true));
}

#[tokio::test]
async fn another_digest_than_was_written_is_never_committed() {
    let bytes = noise(5_000, 1);
    for made in [digest(&bytes[..4_999]), digest(&noise(5_000, 2))] {
        let (sink, kept) = MemorySink::new();
        let (to, body) = mpsc::channel(2);
        let cancel = CancellationToken::new();
        let (_, written) = tokio::join!(pump(to, &bytes), fan_out(body, vec![target(sink).0], u64::MAX, &cancel));
        let results = written.expect("is written").commit(std::slice::from_ref(&made)).await;
        assert_eq!(results[0].as_ref().expect_err("differs").code, FailureCode::VerifyFailed);
        assert!(made.size_bytes == 5_000 || !state(&kept).1, "a wrong size is known before the commit");
    }
}

#[tokio::test]
async fn one_whose_index_failed_is_dropped_before_the_commit() {
    let bytes = noise(5_000, 1);
    let ((first, kept_first), (second, kept_second)) = (MemorySink::new(), MemorySink::new());
    let (to, body) = mpsc::channel(2);
    let cancel = CancellationToken::new();
    let targets = vec![target(first).0, target(second).0];
    let (_, written) = tokio::join!(pump(to, &bytes), fan_out(body, targets, u64::MAX, &cancel));
    let mut written = written.expect("is written");
    written.drop_target(0, full()).await;
    let results = written.commit(&[digest(&bytes)]).await;
    assert_eq!(results[0], Err(full()));
    assert!(results[1].is_ok());
    assert_eq!((state(&kept_first).1, state(&kept_second).1), (false, true));
}

/// Opens objects in memory, and fails at number `fails_at`.
#[derive(Clone, Default)]
struct Shelf {
    kept: Arc<Mutex<Vec<Arc<Mutex<Kept>>>>>,
    fails_at: Option<usize>,
}

impl Shelf {
    fn open_now(&self) -> Box<dyn Sink> {
        let (sink, kept) = MemorySink::new();
        self.kept.lock().expect("no panic while locked").push(kept);
        Box::new(sink)
    }

    fn target(&self) -> Target {
        let sink = self.open_now();
        Target { sink, next: Some(Box::new(self.clone())), meter: Arc::default() }
    }

    fn states(&self) -> Vec<(usize, bool, bool)> {
        self.kept.lock().expect("no panic while locked").iter().map(|kept| state(kept)).collect()
    }
}

#[async_trait]
impl NextObject for Shelf {
    async fn open(&self, part: usize) -> Result<Box<dyn Sink>, Failure> {
        assert_eq!(part, self.kept.lock().expect("no panic while locked").len(), "in order, none twice");
        if self.fails_at == Some(part) { Err(full()) } else { Ok(self.open_now()) }
    }
}

fn objects(bytes: &[u8], limit: usize) -> Vec<Digest> {
    bytes.chunks(limit).map(digest).collect()
}

#[tokio::test]
async fn a_large_stream_goes_on_in_a_next_object_at_the_same_byte_everywhere() {
    let bytes = noise(50_000, 1);
    // 1000 is the size of the chunks: on their edges, within them, and the whole in one.
    for limit in [7_000, 12_500, 999, 25_000, 50_000, 60_000] {
        let (first, second) = (Shelf::default(), Shelf::default());
        let (to, body) = mpsc::channel(2);
        let cancel = CancellationToken::new();
        let targets = vec![first.target(), second.target()];
        let (_, written) = tokio::join!(pump(to, &bytes), fan_out(body, targets, limit as u64, &cancel));
        let made = objects(&bytes, limit);
        let results = written.expect("is written").commit(&made).await;
        for (result, shelf) in results.into_iter().zip([first, second]) {
            let held: Vec<Digest> = result.expect("is held").into_iter().map(|object| object.digest).collect();
            assert_eq!(held, made, "limit {limit}");
            assert!(shelf.states().iter().all(|(size, is_committed, _)| *size <= limit && *is_committed));
        }
    }
}

#[tokio::test]
async fn one_that_cannot_go_on_is_left_out_with_all_its_objects() {
    let bytes = noise(50_000, 1);
    let (good, bad) = (Shelf::default(), Shelf { fails_at: Some(2), ..Shelf::default() });
    let (to, body) = mpsc::channel(2);
    let cancel = CancellationToken::new();
    let targets = vec![bad.target(), good.target()];
    let (_, written) = tokio::join!(pump(to, &bytes), fan_out(body, targets, 10_000, &cancel));
    let results = written.expect("one is left").commit(&objects(&bytes, 10_000)).await;
    assert_eq!(results[0], Err(full()));
    assert_eq!(results[1].as_ref().expect("holds it").len(), 5);
    assert_eq!(bad.states(), [(10_000, false, true); 2], "what it had is aborted, and it gets nothing more");
}

#[tokio::test]
async fn objects_cut_elsewhere_than_they_were_hashed_are_never_committed() {
    let bytes = noise(50_000, 1);
    for made in [objects(&bytes, 25_000), objects(&bytes, 10_001), vec![digest(&bytes)]] {
        let shelf = Shelf::default();
        let (to, body) = mpsc::channel(2);
        let cancel = CancellationToken::new();
        let (_, written) = tokio::join!(pump(to, &bytes), fan_out(body, vec![shelf.target()], 10_000, &cancel));
        let results = written.expect("is written").commit(&made).await;
        assert_eq!(results[0].as_ref().expect_err("differs").code, FailureCode::VerifyFailed);
    }
}

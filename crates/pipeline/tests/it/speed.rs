//! Not a test: prints how fast a stream is made. `cargo nextest run -p holdfast-pipeline --release --run-ignored only
//! --no-capture`, beside `zstd -3 -b3` of the same machine.

use crate::support::{noise, recipients};
use bytes::Bytes;
use holdfast_pipeline::{EncodeOptions, Encryption, StreamFormat, encode};
use std::time::Instant;

const MIB: usize = 1 << 20;
const TOTAL_MIB: usize = 1024;

async fn speed(plain: &[u8], options: EncodeOptions) -> f64 {
    let mut encoder = encode(options).expect("starts");
    let chunks: Vec<Bytes> = plain.chunks(256 << 10).map(Bytes::copy_from_slice).collect();
    let started = Instant::now();
    let pump = async {
        for chunk in chunks.iter().cycle().take(TOTAL_MIB * 4) {
            encoder.input.write(chunk.clone()).await.expect("is taken");
        }
        encoder.input.finish().await.expect("is taken");
    };
    let drain = async { while encoder.body.recv().await.is_some() {} };
    tokio::join!(pump, drain);
    encoder.outcome.wait().await.expect("is made");
    TOTAL_MIB as f64 / started.elapsed().as_secs_f64()
}

/// Text-like bytes: words of a small vocabulary in a random order.
fn words(len: usize) -> Vec<u8> {
    let vocabulary = noise(6 * 4096, 5);
    let picks = noise(len / 2, 6);
    let mut out = Vec::with_capacity(len + 8);
    for pick in picks.chunks_exact(2).cycle() {
        let at = (usize::from(pick[0]) << 4 | usize::from(pick[1]) & 15) * 6;
        out.extend(vocabulary[at..at + 6].iter().map(|b| b'a' + b % 16));
        out.push(b' ');
        if out.len() >= len {
            return out;
        }
    }
    out
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn how_fast_a_stream_is_made() {
    for (what, plain) in [("random", noise(64 * MIB, 1)), ("words", words(64 * MIB)), ("zeros", vec![0; 64 * MIB])] {
        for threads in [1, 2] {
            for encryption in [Encryption::None, recipients()] {
                let name = if encryption.is_encrypted() { "age" } else { "plain" };
                let options =
                    EncodeOptions { compress_threads: threads, ..EncodeOptions::new(StreamFormat::Opaque, encryption) };
                println!("{what:7} {name:5} {threads} thread(s): {:6.0} MiB/s", speed(&plain, options).await);
            }
        }
        let started = Instant::now();
        let compressed = zstd::bulk::compress(&plain, 3).expect("zstd").len();
        let alone = 64.0 / started.elapsed().as_secs_f64();
        println!("{what:7} zstd -3 alone: {alone:6.0} MiB/s, to {} %", compressed * 100 / plain.len());
    }
}

//! What goes in comes out, whatever its size and however it is cut; what was not finished does not.

use crate::support::{PASSWORD, collect, digest, memory, noise, read_all, recipients, store};
use bytes::Bytes;
use holdfast_domain::FailureCode;
use holdfast_pipeline::{DecryptKey, EncodeOptions, Encryption, StreamFormat, decode, encode, verify};
use proptest::prelude::*;
use std::time::Duration;

fn small_frames(encryption: Encryption, frame_bytes: usize, threads: usize) -> EncodeOptions {
    EncodeOptions { frame_bytes, compress_threads: threads, ..EncodeOptions::new(StreamFormat::Opaque, encryption) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_stream_comes_back_as_it_was(
        plain in proptest::collection::vec(any::<u8>(), 0..200_000),
        chunk in 1usize..70_000,
        frame_bytes in 1usize..50_000,
        threads in 1usize..4,
        is_encrypted: bool,
        offset in any::<u64>(),
    ) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let frame_bytes = frame_bytes.max(plain.len() / 500);
            let encryption = if is_encrypted { recipients() } else { Encryption::None };
            let stored = store(&plain, chunk, small_frames(encryption, frame_bytes, threads)).await.expect("stores");
            let encoded = &stored.encoded;
            assert_eq!(encoded.original, digest(&plain));
            assert_eq!(encoded.stored, digest(&stored.body));
            let back = decode::plain(
                memory(&stored.body), encoded.key.clone(), encoded.stored.clone(), Some(encoded.original.clone()),
            );
            assert!(read_all(back).await.expect("opens") == plain);
            let expected =
                verify::Expected { stored: encoded.stored.clone(), original_bytes: Some(plain.len() as u64) };
            verify::v1(memory(&stored.body), &encoded.key, expected, &[offset]).await.expect("verifies");
            verify::v0(memory(&stored.body), &encoded.stored).await.expect("verifies");
        });
    }
}

#[tokio::test]
async fn equal_input_gives_no_common_ciphertext() {
    let plain = noise(20_000, 7);
    let options = || EncodeOptions::new(StreamFormat::Opaque, recipients());
    let first = store(&plain, 65_536, options()).await.expect("stores").body;
    let second = store(&plain, 65_536, options()).await.expect("stores").body;
    let window = |at: usize| &first[at..at + 16];
    let common = (200..first.len() - 16).step_by(16).filter(|at| second.windows(16).any(|w| w == window(*at)));
    assert_eq!(common.take(1).count(), 0);
}

#[tokio::test]
async fn an_input_that_is_dropped_ends_without_a_result_and_without_an_end() {
    let mut encoder = encode(EncodeOptions::new(StreamFormat::Opaque, recipients())).expect("starts");
    let plain = noise(9 << 20, 3);
    let pump = async {
        for chunk in plain.chunks(256 << 10) {
            encoder.input.write(Bytes::copy_from_slice(chunk)).await.expect("is taken");
        }
        drop(encoder.input);
    };
    let ((), body) = tokio::join!(pump, collect(encoder.body));
    let failure = encoder.outcome.wait().await.err().expect("an unfinished stream is no stream");
    assert_eq!(failure.code, FailureCode::SourceIncomplete);
    assert!(body.len() > 4 << 20, "frames had gone out before");
    let key = DecryptKey::Identity(crate::support::IDENTITY.into());
    let failure = read_all(decode::plain(memory(&body), key, digest(&body), None)).await.expect_err("has no end");
    assert_eq!(failure.code, FailureCode::CopyDamaged);
}

#[tokio::test]
async fn a_body_that_nobody_takes_stops_the_input() {
    let encoder = encode(EncodeOptions::new(StreamFormat::Opaque, Encryption::None)).expect("starts");
    let mut input = encoder.input;
    drop(encoder.body);
    let chunk = Bytes::from(noise(256 << 10, 5));
    while input.write(chunk.clone()).await.is_ok() {}
    let failure = encoder.outcome.wait().await.err().expect("nobody took it");
    assert_eq!(failure.code, FailureCode::DestinationFailed);
}

#[tokio::test]
async fn what_waits_in_memory_is_bounded_while_nobody_reads() {
    let encoder = encode(EncodeOptions::new(StreamFormat::Opaque, recipients())).expect("starts");
    let mut input = encoder.input;
    let plain = Bytes::from(noise(64 << 20, 9));
    let mut taken = 0;
    loop {
        let chunk = plain.slice(taken..taken + (256 << 10));
        let Ok(written) = tokio::time::timeout(Duration::from_secs(1), input.write(chunk)).await else { break };
        written.expect("the stream is alive");
        taken += 256 << 10;
        assert!(taken < 50 << 20, "more than 50 MiB waits");
    }
    assert!(taken > 4 << 20, "it took some");
    drop(input);
    drop(encoder.body);
    encoder.outcome.wait().await.err().expect("it was not finished");
}

#[tokio::test]
async fn a_password_opens_what_it_sealed() {
    let plain = noise(100_000, 11);
    let stored = store(&plain, 4096, EncodeOptions::new(StreamFormat::Opaque, Encryption::Password(PASSWORD.into())));
    let stored = stored.await.expect("stores");
    let open = |password: &str| {
        let key = DecryptKey::Password(password.into());
        read_all(decode::plain(memory(&stored.body), key, stored.encoded.stored.clone(), None))
    };
    assert!(open(PASSWORD).await.expect("opens") == plain);
    assert_eq!(open("incorrect horse").await.expect_err("wrong").code, FailureCode::WrongPassword);
}

#[tokio::test]
async fn the_archive_form_is_the_compressed_stream() {
    let plain = noise(50_000, 13);
    let options = EncodeOptions::new(StreamFormat::Opaque, recipients());
    let stored = store(&plain, 4096, options).await.expect("stores");
    let archive = decode::archive(memory(&stored.body), stored.encoded.key.clone(), stored.encoded.stored.clone());
    let archive = read_all(archive).await.expect("opens");
    assert_eq!(archive.len() as u64, stored.encoded.compressed_bytes);
    let mut back = Vec::new();
    std::io::copy(&mut zstd::stream::read::Decoder::new(archive.as_slice()).expect("zstd"), &mut back).expect("opens");
    assert!(back == plain);
}

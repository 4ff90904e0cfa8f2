//! A store that changes, cuts, swaps, joins or exchanges what it holds is always found out.

use crate::support::{digest, memory, noise, read_all, recipients, store};
use holdfast_domain::{Failure, FailureCode};
use holdfast_pipeline::{DecryptKey, EncodeOptions, Encryption, StreamFormat, decode, verify};
use proptest::prelude::*;
use proptest::sample::Index;

/// What a hostile store does.
#[derive(Clone, Debug)]
enum Harm {
    Flip(Index, u8),
    Cut(Index),
    Append(Vec<u8>),
    SwapBlocks(Index, Index),
    Joined,
    Exchanged,
}

fn harms() -> impl Strategy<Value = Harm> {
    prop_oneof![
        (any::<Index>(), 1u8..).prop_map(|(at, mask)| Harm::Flip(at, mask)),
        any::<Index>().prop_map(Harm::Cut),
        proptest::collection::vec(any::<u8>(), 1..100).prop_map(Harm::Append),
        (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Harm::SwapBlocks(a, b)),
        Just(Harm::Joined),
        Just(Harm::Exchanged),
    ]
}

fn harmed(harm: &Harm, body: &[u8], other: &[u8]) -> Vec<u8> {
    let mut out = body.to_vec();
    match harm {
        Harm::Flip(at, mask) => out[at.index(body.len())] ^= mask,
        Harm::Cut(at) => out.truncate(at.index(body.len())),
        Harm::Append(tail) => out.extend_from_slice(tail),
        Harm::SwapBlocks(a, b) => {
            let block = body.len() / 20;
            let (a, b) = (a.index(19) * block, b.index(19) * block);
            out[a..a + block].copy_from_slice(&body[b..b + block]);
            out[b..b + block].copy_from_slice(&body[a..a + block]);
        }
        Harm::Joined => out.extend_from_slice(body),
        Harm::Exchanged => out = other.to_vec(),
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn no_harm_to_a_copy_goes_unnoticed(harm in harms(), is_encrypted: bool, knows_size: bool) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let encryption = || if is_encrypted { recipients() } else { Encryption::None };
            let options = || EncodeOptions {
                frame_bytes: 10_000,
                ..EncodeOptions::new(StreamFormat::Opaque, encryption())
            };
            let plain = noise(150_000, 1);
            let good = store(&plain, 4096, options()).await.expect("stores");
            let other = store(&noise(150_000, 2), 4096, options()).await.expect("stores");
            let bad = harmed(&harm, &good.body, &other.body);
            prop_assume!(bad != good.body);
            let (stored, original) = (good.encoded.stored.clone(), good.encoded.original.clone());
            // A store that reports the size it is asked for gets no further.
            let stored = if knows_size { stored } else { holdfast_domain::manifest::Digest {
                size_bytes: bad.len() as u64, ..stored
            } };
            let key = if is_encrypted { DecryptKey::Identity(crate::support::IDENTITY.into()) } else { DecryptKey::None };
            let read = read_all(decode::plain(memory(&bad), key, stored.clone(), Some(original))).await;
            prop_assert_eq!(read.expect_err("refused").code, FailureCode::CopyDamaged);
            let archive = read_all(decode::archive(memory(&bad), good.encoded.key.clone(), stored.clone())).await;
            prop_assert_eq!(archive.expect_err("refused").code, FailureCode::CopyDamaged);
            let v0 = verify::v0(memory(&bad), &stored).await;
            prop_assert_eq!(v0.expect_err("refused").code, FailureCode::VerifyFailed);
            Ok(())
        })?;
    }
}

/// V1 of `body` over every frame.
async fn v1(body: &[u8], size_bytes: u64, key: &DecryptKey, original: u64) -> Result<(), Failure> {
    let stored = holdfast_domain::manifest::Digest { size_bytes, ..digest(b"") };
    let every: Vec<u64> = (0..100).collect();
    verify::v1(memory(body), key, verify::Expected { stored, original_bytes: Some(original) }, &every).await
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn v1_finds_every_flip_in_what_it_reads(at: Index, mask in 1u8.., is_encrypted: bool) {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let encryption = if is_encrypted { recipients() } else { Encryption::None };
            let options = EncodeOptions { frame_bytes: 10_000, ..EncodeOptions::new(StreamFormat::Opaque, encryption) };
            let good = store(&noise(150_000, 1), 4096, options).await.expect("stores");
            let size = good.body.len() as u64;
            v1(&good.body, size, &good.encoded.key, 150_000).await.expect("is good");
            let mut bad = good.body.clone();
            bad[at.index(good.body.len())] ^= mask;
            let failure = v1(&bad, size, &good.encoded.key, 150_000).await.expect_err("refused");
            prop_assert_eq!(failure.code, FailureCode::VerifyFailed);
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn v1_knows_another_backups_copy_of_the_same_size() {
    for encryption in [recipients(), Encryption::None] {
        let options =
            || EncodeOptions { frame_bytes: 10_000, ..EncodeOptions::new(StreamFormat::Opaque, encryption.clone()) };
        let good = store(&noise(150_000, 1), 4096, options()).await.expect("stores");
        let other = store(&noise(140_000, 2), 4096, options()).await.expect("stores");
        let size = other.body.len() as u64;
        let failure = v1(&other.body, size, &good.encoded.key, 150_000).await.expect_err("refused");
        assert_eq!(failure.code, FailureCode::VerifyFailed);
    }
}

#[tokio::test]
async fn a_bomb_takes_no_memory() {
    // 1 GiB of zeros in one frame with a window of 1 GiB: refused, not unpacked into memory.
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 3).expect("zstd");
    encoder.set_parameter(zstd::zstd_safe::CParameter::WindowLog(30)).expect("a parameter");
    std::io::copy(&mut std::io::Read::take(std::io::repeat(0), 64 << 20), &mut encoder).expect("a vector takes all");
    let bomb = encoder.finish().expect("a vector takes all");
    let failure = read_all(decode::plain(memory(&bomb), DecryptKey::None, digest(&bomb), None)).await;
    assert_eq!(failure.expect_err("refused").code, FailureCode::CopyDamaged);
}

#[tokio::test]
async fn plain_bytes_other_than_the_manifests_are_refused() {
    for encryption in [recipients(), Encryption::None] {
        let options = EncodeOptions::new(StreamFormat::Opaque, encryption);
        let stored = store(&noise(150_000, 1), 4096, options).await.expect("stores");
        let read = |original| {
            let (key, digest) = (stored.encoded.key.clone(), stored.encoded.stored.clone());
            read_all(decode::plain(memory(&stored.body), key, digest, Some(original)))
        };
        read(digest(&noise(150_000, 1))).await.expect("is it");
        assert_eq!(read(digest(&noise(150_000, 2))).await.expect_err("refused").code, FailureCode::CopyDamaged);
    }
}

//! A stream through the whole byte path to two local stores, checked and read back from each.

use bytes::Bytes;
use holdfast_destinations::{Destination, LocalDestination, LocalRoot};
use holdfast_domain::ids::BackupDestinationId;
use holdfast_domain::manifest::ManifestObject;
use holdfast_domain::{Failure, FailureCode};
use holdfast_pipeline::{
    DecryptKey, EncodeOptions, Encoded, Encryption, StreamFormat, Target, TargetMeter, decode, encode, fan_out, verify,
};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const IDENTITY: &str = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
const RECIPIENT: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";

fn destination(root: &Path, id: i64) -> LocalDestination {
    let root = LocalRoot::open(root, Uuid::from_u128(1)).expect("the root opens");
    LocalDestination::new(root, Uuid::from_u128(2), BackupDestinationId(id))
}

async fn targets(destinations: &[LocalDestination], name: &str) -> Vec<Target> {
    let mut targets = Vec::new();
    for destination in destinations {
        let sink = destination.put(name).await.expect("starts");
        targets.push(Target { sink, next: None, meter: Arc::new(TargetMeter::default()) });
    }
    targets
}

/// Stores `tar`; what was made, and the two objects at each destination.
async fn back_up(destinations: &[LocalDestination], tar: &[u8]) -> (Encoded, Vec<[ManifestObject; 2]>) {
    let encryption = Encryption::Recipients(vec![RECIPIENT.to_owned()]);
    let mut encoder = encode(EncodeOptions::new(StreamFormat::Tar, encryption)).expect("starts");
    let cancel = CancellationToken::new();
    let pump = async {
        for chunk in tar.chunks(256 << 10) {
            encoder.input.write(Bytes::copy_from_slice(chunk)).await.expect("is taken");
        }
        encoder.input.finish().await.expect("is taken");
    };
    let body = fan_out(encoder.body, targets(destinations, "backups/b.tar.zst.age").await, u64::MAX, &cancel);
    let index = encoder.index.expect("a tar has one");
    let index = fan_out(index, targets(destinations, "backups/b.index.zst.age").await, u64::MAX, &cancel);
    let ((), body, index) = tokio::join!(pump, body, index);
    let encoded = encoder.outcome.wait().await.expect("is made");
    let made = encoded.index.as_ref().expect("a tar has one").stored.clone();
    let index = index.expect("is written").commit(&[made]).await;
    let body = body.expect("is written").commit(&encoded.objects).await;
    let both = body.into_iter().zip(index);
    let objects = both.map(|(body, index)| [only(body), only(index)]).collect();
    (encoded, objects)
}

fn only(objects: Result<Vec<ManifestObject>, Failure>) -> ManifestObject {
    let mut objects = objects.expect("is stored");
    assert_eq!(objects.len(), 1);
    objects.remove(0)
}

#[tokio::test]
async fn a_backup_reaches_both_stores_and_comes_back_from_each() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("file"), vec![42; 5 << 20]).expect("is written");
    let tar = Command::new("tar").args(["--format=posix", "-cf", "-", "file"]).current_dir(folder.path()).output();
    let tar = tar.expect("tar runs").stdout;
    let destinations = [destination(folder.path(), 1), destination(folder.path(), 2)];
    let (encoded, objects) = back_up(&destinations, &tar).await;
    for (destination, [body, index]) in destinations.iter().zip(&objects) {
        let expected =
            verify::Expected { stored: body.digest.clone(), original_bytes: Some(encoded.original.size_bytes) };
        let reader = destination.open(body).await.expect("opens");
        verify::v1(reader.clone(), &encoded.key, expected, &[1, 2, 3]).await.expect("is whole");
        let key = encoded.index.as_ref().expect("a tar has one").key.clone();
        let expected = verify::Expected { stored: index.digest.clone(), original_bytes: None };
        verify::v1(destination.open(index).await.expect("opens"), &key, expected, &[]).await.expect("is whole");
        let key = DecryptKey::Identity(IDENTITY.into());
        let mut plain = decode::plain(reader, key, body.digest.clone(), Some(encoded.original.clone()));
        let mut back = Vec::new();
        while let Some(bytes) = plain.next().await.expect("opens") {
            back.extend_from_slice(&bytes);
        }
        assert!(back == tar);
    }
}

#[tokio::test]
async fn a_stored_byte_that_flips_is_found_by_v1() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("file"), vec![42; 1000]).expect("is written");
    let tar = Command::new("tar").args(["-cf", "-", "file"]).current_dir(folder.path()).output();
    let destinations = [destination(root.path(), 1)];
    let (encoded, objects) = back_up(&destinations, &tar.expect("tar runs").stdout).await;
    let [body, _] = &objects[0];
    let path = root.path().join(Uuid::from_u128(2).to_string()).join("1").join(&body.name);
    let mut bytes = std::fs::read(&path).expect("is there");
    let last = bytes.len() - 40;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).expect("is written");
    let expected = verify::Expected { stored: body.digest.clone(), original_bytes: Some(encoded.original.size_bytes) };
    let reader = destinations[0].open(body).await.expect("opens");
    let failure = verify::v1(reader, &encoded.key, expected, &[]).await.expect_err("refused");
    assert_eq!(failure.code, FailureCode::VerifyFailed);
}

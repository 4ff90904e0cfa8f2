//! A bucket of a real S3 server (Garage): what is written comes back, and nothing else stays.

use bytes::Bytes;
use chrono::Utc;
use holdfast_destinations::{Destination, Outside, Pace, S3Destination, S3Settings};
use holdfast_domain::FailureCode;
use holdfast_domain::destination::{DestinationConfig, DestinationKind};
use holdfast_domain::manifest::{Digest, ManifestObject};
use holdfast_egress::{EgressDefault, EgressGuard, GuardedHttp};
use holdfast_pipeline::digest::digest_of;
use holdfast_testbed::fault_proxy::{Fault, FaultProxy, LinkPlan};
use holdfast_testbed::garage::{ACCESS_KEY, BUCKET, Garage, REGION, SECRET_KEY};
use std::sync::Arc;
use std::time::Duration;

const MIB: usize = 1 << 20;

fn outside() -> Outside {
    let guard = EgressGuard::new(EgressDefault::PublicOnly, vec!["127.0.0.0/8".parse().expect("a range")]);
    let http = GuardedHttp::new(guard).expect("a client");
    Outside { http, now: Arc::new(Utc::now), random: Arc::new(|| u64::MAX / 2) }
}

fn settings(endpoint: &str) -> S3Settings {
    let config = DestinationConfig {
        bucket: Some(BUCKET.to_owned()),
        region: Some(REGION.to_owned()),
        endpoint: Some(endpoint.to_owned()),
        path_style: true,
    };
    S3Settings {
        kind: DestinationKind::CustomS3,
        config,
        access_key: ACCESS_KEY.into(),
        secret_key: SECRET_KEY.into(),
        folder: "holdfast/7/".to_owned(),
    }
}

fn quick() -> Pace {
    let millis = Duration::from_millis;
    Pace { tries: 4, first_pause: millis(10), longest_pause: millis(100), stall: millis(20_000), ..Pace::default() }
}

fn destination(settings: S3Settings) -> S3Destination {
    S3Destination::new(settings, outside(), quick()).expect("a destination")
}

fn noise(len: usize) -> Bytes {
    let mut state = 1u64;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u8
        })
        .collect::<Vec<u8>>()
        .into()
}

async fn store(destination: &S3Destination, name: &str, bytes: &Bytes) -> ManifestObject {
    let mut sink = destination.put(name).await.expect("starts");
    for chunk in 0..bytes.len().div_ceil(100_000) {
        sink.write(bytes.slice(chunk * 100_000..bytes.len().min((chunk + 1) * 100_000))).await.expect("is taken");
    }
    sink.settle().await.expect("settles");
    sink.commit().await.expect("is stored")
}

async fn load(destination: &S3Destination, object: &ManifestObject) -> Vec<u8> {
    let reader = destination.open(object).await.expect("opens");
    let mut back = Vec::new();
    loop {
        let bytes = reader.read_at(back.len() as u64, MIB).await.expect("reads");
        if bytes.is_empty() {
            return back;
        }
        back.extend_from_slice(&bytes);
    }
}

#[tokio::test]
async fn objects_of_every_size_come_back_as_they_were() {
    let garage = Garage::start().await.expect("Garage");
    let destination = destination(settings(&garage.endpoint()));
    let all = noise(25 * MIB + 12_345);
    for (name, len) in
        [("a/empty", 0), ("a/one", 1), ("a b/part", 8 * MIB), ("c/parts", 16 * MIB), ("c/more", all.len())]
    {
        let bytes = all.slice(..len);
        let object = store(&destination, name, &bytes).await;
        assert_eq!((object.name.as_str(), &object.digest), (name, &digest_of(&bytes)), "{name}");
        assert!(load(&destination, &object).await == bytes, "{name}");
    }
    let whole = ManifestObject { name: "c/more".to_owned(), digest: digest_of(&all) };
    let reader = destination.open(&whole).await.expect("opens");
    for (at, len) in [(0, 10), (8 * MIB - 3, 7), (all.len() - 5, 100), (3, 1), (20 * MIB, 3 * MIB)] {
        let bytes = reader.read_at(at as u64, len).await.expect("reads");
        let there = all.slice(at..all.len().min(at + len));
        assert!(!bytes.is_empty() && there.starts_with(&bytes), "{at} {len}");
    }
    assert!(reader.read_at(all.len() as u64, 5).await.expect("reads").is_empty());
    for name in ["a/empty", "a/one", "a b/part", "c/parts", "c/more"] {
        destination.delete(name).await.expect("goes");
        destination.delete(name).await.expect("absent is fine");
    }
    assert_eq!(garage.held().await.expect("held"), (0, 0));
}

#[tokio::test]
async fn what_was_not_committed_has_no_name_and_leaves_nothing() {
    let garage = Garage::start().await.expect("Garage");
    let destination = destination(settings(&garage.endpoint()));
    let object = store(&destination, "kept.001", &noise(9 * MIB)).await;
    let mut aborted = destination.put("aborted").await.expect("starts");
    aborted.write(noise(20 * MIB)).await.expect("is taken");
    aborted.abort().await;
    // As a killed worker leaves it: no abort, then a removal by its recorded name.
    for name in ["kept", "kept.001.x"] {
        let mut left = destination.put(name).await.expect("starts");
        left.write(noise(17 * MIB)).await.expect("is taken");
        drop(left);
    }
    let absent = ManifestObject { name: "aborted".to_owned(), digest: object.digest.clone() };
    assert_eq!(destination.open(&absent).await.err().expect("absent").code, FailureCode::CopyDamaged);
    destination.delete("kept").await.expect("goes");
    assert_eq!(garage.held().await.expect("held"), (1, 1), "another name's upload is not touched");
    destination.delete("kept.001.x").await.expect("goes");
    assert!(load(&destination, &object).await == noise(9 * MIB));
    destination.delete("kept.001").await.expect("goes");
    assert_eq!(garage.held().await.expect("held"), (0, 0));
}

#[tokio::test]
async fn a_check_writes_reads_deletes_and_says_that_http_hides_nothing() {
    let garage = Garage::start().await.expect("Garage");
    let destination = destination(settings(&garage.endpoint()));
    let steps = destination.check("probe").await;
    let names: Vec<_> = steps.iter().map(|step| (step.name.as_str(), step.ok)).collect();
    assert_eq!(names, [("transport", true), ("write", true), ("read_back", true), ("delete", true)], "{steps:?}");
    assert!(steps[0].message.contains("plain http"));
    assert_eq!(destination.usage().await, Ok(None));
    assert_eq!(garage.held().await.expect("held"), (0, 0));
}

#[tokio::test]
async fn wrong_keys_regions_and_buckets_are_told_apart() {
    let garage = Garage::start().await.expect("Garage");
    let right = || settings(&garage.endpoint());
    let with = |change: fn(&mut S3Settings)| {
        let mut settings = right();
        change(&mut settings);
        settings
    };
    let cases: [(&str, S3Settings, FailureCode, &str); 4] = [
        ("secret", with(|s| s.secret_key = "wrong".into()), FailureCode::DestinationRefused, "s3:PutObject"),
        ("key", with(|s| s.access_key = "GK0000".into()), FailureCode::DestinationRefused, "s3:PutObject"),
        ("region", with(|s| s.config.region = Some("mars".to_owned())), FailureCode::DestinationRefused, "region"),
        ("bucket", with(|s| s.config.bucket = Some("nowhere".to_owned())), FailureCode::DestinationMissing, "nowhere"),
    ];
    for (case, settings, code, words) in cases {
        let destination = destination(settings);
        let mut sink = destination.put("a").await.expect("starts");
        sink.write(Bytes::from_static(b"x")).await.expect("is taken");
        let failure = sink.commit().await.expect_err(case);
        assert_eq!(failure.code, code, "{case}: {failure}");
        assert!(failure.detail.contains(words), "{case}: {failure}");
        let failure = destination.delete("a").await.expect_err(case);
        assert_eq!(failure.code, code, "{case}: nothing counts as deleted there");
        let steps = destination.check("probe").await;
        assert!(steps.iter().any(|step| !step.ok), "{case}");
    }
    let empty = with(|s| s.secret_key = " ".into());
    let refused = S3Destination::new(empty, outside(), quick()).err().expect("no keys");
    assert_eq!(refused.code, FailureCode::SecretUnavailable);
}

#[tokio::test]
async fn a_full_bucket_is_full_and_keeps_what_it_has() {
    let garage = Garage::start().await.expect("Garage");
    let destination = destination(settings(&garage.endpoint()));
    let old = store(&destination, "old", &noise(2 * MIB)).await;
    garage.admin(&["bucket", "set-quotas", "--max-size", "4MiB", BUCKET]).await.expect("a quota");
    let mut sink = destination.put("new").await.expect("starts");
    let failure = match sink.write(noise(20 * MIB)).await {
        Ok(()) => sink.commit().await.expect_err("full"),
        Err(failure) => {
            sink.abort().await;
            failure
        }
    };
    assert_eq!(failure.code, FailureCode::DestinationFull, "{failure}");
    assert!(load(&destination, &old).await == noise(2 * MIB));
    assert_eq!(garage.held().await.expect("held").0, 1);
}

#[tokio::test]
async fn a_link_that_resets_mid_part_costs_a_try_and_not_the_object() {
    let garage = Garage::start().await.expect("Garage");
    let target = ([127, 0, 0, 1], garage.port()).into();
    let plan = LinkPlan { fault: Fault::Rst, after_bytes: 3 << 20, connections: 2, ..LinkPlan::default() };
    let proxy = FaultProxy::start(target, plan).await.expect("a proxy");
    let destination = destination(settings(&format!("http://127.0.0.1:{}", proxy.port())));
    let bytes = noise(30 * MIB);
    let object = store(&destination, "through", &bytes).await;
    assert!(load(&destination, &object).await == bytes);
    assert!(proxy.connections() > 2);
}

#[tokio::test]
async fn an_object_of_another_size_than_recorded_is_damaged() {
    let garage = Garage::start().await.expect("Garage");
    let destination = destination(settings(&garage.endpoint()));
    let object = store(&destination, "a", &noise(1000)).await;
    let longer = Digest { size_bytes: 1001, ..object.digest.clone() };
    let failure = destination.open(&ManifestObject { name: "a".to_owned(), digest: longer }).await.err();
    assert_eq!(failure.expect("refused").code, FailureCode::CopyDamaged);
    for name in ["../a", "/a", "a//b", ""] {
        assert_eq!(destination.put(name).await.err().expect(name).code, FailureCode::InvalidConfig);
    }
}

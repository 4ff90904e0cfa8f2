//! What a store does on its bad days, with a fake that does it on purpose. Nothing here proves anything about real stores.

use bytes::Bytes;
use chrono::Utc;
use holdfast_destinations::{Destination, Outside, Pace, S3Destination, S3Settings};
use holdfast_domain::destination::{DestinationConfig, DestinationKind};
use holdfast_domain::manifest::ManifestObject;
use holdfast_domain::{Failure, FailureCode};
use holdfast_egress::{EgressDefault, EgressGuard, GuardedHttp};
use holdfast_pipeline::digest::digest_of;
use holdfast_testbed::fake_s3::{FakeS3, Seen, Wrong};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const MIB: usize = 1 << 20;

fn pace() -> Pace {
    let millis = Duration::from_millis;
    Pace { tries: 4, first_pause: millis(10), longest_pause: millis(200), waiting: millis(2_000), stall: millis(1_500) }
}

fn destination_at(endpoint: &str, allow: &[&str]) -> S3Destination {
    let allow = allow.iter().map(|net| net.parse().expect("a range")).collect();
    let http = GuardedHttp::new(EgressGuard::new(EgressDefault::PublicOnly, allow)).expect("a client");
    let config = DestinationConfig {
        bucket: Some("bk".to_owned()),
        region: None,
        endpoint: Some(endpoint.to_owned()),
        path_style: true,
    };
    let settings = S3Settings {
        kind: DestinationKind::CustomS3,
        config,
        access_key: "OURKEY".into(),
        secret_key: "secret".into(),
        folder: "f/".to_owned(),
    };
    let outside = Outside { http, now: Arc::new(Utc::now), random: Arc::new(|| 0) };
    S3Destination::new(settings, outside, pace()).expect("a destination")
}

/// A fake that follows `rule`, and a destination on it.
async fn fake(rule: impl Fn(&Seen) -> Option<Wrong> + Send + Sync + 'static) -> (FakeS3, S3Destination) {
    let fake = FakeS3::start(rule).await.expect("the fake");
    let destination = destination_at(&fake.endpoint(), &["127.0.0.0/8"]);
    (fake, destination)
}

async fn store(destination: &S3Destination, bytes: Bytes) -> Result<ManifestObject, Failure> {
    let mut sink = destination.put("o").await?;
    if let Err(failure) = sink.write(bytes).await {
        sink.abort().await;
        return Err(failure);
    }
    sink.commit().await
}

fn is_part(seen: &Seen) -> bool {
    seen.method == "PUT" && seen.query.contains("partNumber")
}

fn is_complete(seen: &Seen) -> bool {
    seen.method == "POST" && seen.query.contains("uploadId")
}

fn big() -> Bytes {
    Bytes::from(vec![7; 20 * MIB])
}

#[tokio::test]
async fn a_storm_that_passes_costs_time_alone() {
    let left = AtomicUsize::new(5);
    let (fake, destination) = fake(move |seen| {
        let has_more =
            is_part(seen) && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok();
        has_more.then(|| Wrong::Refuse(503, "SlowDown", vec![("retry-after", "1".to_owned())]))
    })
    .await;
    let object = store(&destination, big()).await.expect("is stored");
    assert_eq!(object.digest, digest_of(&big()));
    assert_eq!(fake.objects()["f/o"], big());
    assert!(fake.unfinished().is_empty());
}

#[tokio::test]
async fn a_storm_that_stays_ends_the_object_and_leaves_no_upload() {
    let (fake, destination) = fake(|seen| is_part(seen).then(|| Wrong::Refuse(503, "SlowDown", Vec::new()))).await;
    let failure = store(&destination, big()).await.expect_err("fails");
    assert_eq!(failure.code, FailureCode::DestinationFailed);
    assert!(failure.detail.contains("503 SlowDown"), "{failure}");
    assert!(fake.unfinished().is_empty() && fake.objects().is_empty());
    let parts = fake.seen().iter().filter(|seen| is_part(seen)).count();
    assert!(parts <= 8, "{parts} tries of two parts");
}

#[tokio::test]
async fn what_cannot_get_better_is_not_tried_again() {
    for (status, code, expected) in [
        (403, "AccessDenied", FailureCode::DestinationRefused),
        (400, "ExpiredToken", FailureCode::DestinationRefused),
        (404, "NoSuchBucket", FailureCode::DestinationMissing),
        (507, "InsufficientStorage", FailureCode::DestinationFull),
        (403, "RequestTimeTooSkewed", FailureCode::DestinationRefused),
    ] {
        let (fake, destination) =
            fake(move |seen| is_part(seen).then(|| Wrong::Refuse(status, code, Vec::new()))).await;
        let failure = store(&destination, big()).await.expect_err(code);
        assert_eq!(failure.code, expected, "{failure}");
        assert!(failure.detail.contains(code), "{failure}");
        let parts = fake.seen().iter().filter(|seen| is_part(seen)).count();
        assert!(parts <= 2, "{code}: {parts} requests");
        assert!(fake.unfinished().is_empty(), "{code}");
    }
}

#[tokio::test]
async fn an_error_inside_a_200_is_an_error() {
    let refused = AtomicUsize::new(0);
    let (storm, destination) = fake(move |seen| {
        let body = "<?xml version=\"1.0\"?><Error><Code>InternalError</Code></Error>".to_owned();
        (is_complete(seen) && refused.fetch_add(1, Ordering::SeqCst) < 2).then_some(Wrong::Say(200, body))
    })
    .await;
    store(&destination, big()).await.expect("the third try is taken");
    assert_eq!(storm.objects()["f/o"], big());
    let body = || "<Error><Code>AccessDenied</Code></Error>".to_owned();
    let (refusing, destination) = fake(move |seen| is_complete(seen).then(|| Wrong::Say(200, body()))).await;
    assert_eq!(store(&destination, big()).await.expect_err("refused").code, FailureCode::DestinationRefused);
    assert!(refusing.objects().is_empty() && refusing.unfinished().is_empty());
}

#[tokio::test]
async fn an_answer_that_was_lost_is_not_a_lost_object() {
    let tries = Arc::new(AtomicUsize::new(0));
    let count = tries.clone();
    let (fake, destination) =
        fake(move |seen| (is_complete(seen) && count.fetch_add(1, Ordering::SeqCst) == 0).then_some(Wrong::Deny)).await;
    // The second try hears that there is no such upload any more; what lies there decides.
    store(&destination, big()).await.expect("is stored");
    assert_eq!(fake.objects()["f/o"], big());
    assert_eq!(tries.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_store_that_lies_about_what_it_has_is_found_out() {
    type Rule = fn(&Seen) -> Option<Wrong>;
    let lies: [(&str, Rule); 4] = [
        ("a flipped bit", |seen| (seen.method == "GET").then_some(Wrong::Flip)),
        ("a shorter object", |seen| (seen.method == "GET").then_some(Wrong::Truncate(MIB))),
        ("a part that was not kept", |seen| is_part(seen).then_some(Wrong::Forget)),
        ("nothing kept at all", |seen| is_complete(seen).then_some(Wrong::Forget)),
    ];
    for (lie, rule) in lies {
        let (fake, destination) = fake(rule).await;
        let failure = store(&destination, big()).await.expect_err(lie);
        assert_eq!(failure.code, FailureCode::VerifyFailed, "{lie}: {failure}");
        assert!(fake.objects().is_empty() && fake.unfinished().is_empty(), "{lie}: what is not proved goes");
    }
}

#[tokio::test]
async fn no_answer_holds_or_fills_the_worker() {
    let laughs = "<!DOCTYPE l [<!ENTITY a \"ha\">]><Error><Code>&a;</Code></Error>".to_owned();
    let rules: [(&str, Wrong); 5] = [
        ("endless", Wrong::Endless(Duration::ZERO)),
        ("silence", Wrong::Wait(Duration::from_secs(60))),
        ("laughs", Wrong::Say(400, laughs)),
        ("no XML", Wrong::Say(200, "ok".to_owned())),
        ("a huge refusal", Wrong::Say(403, "x".repeat(5 * MIB))),
    ];
    for (case, wrong) in rules {
        let (_fake, destination) = fake(move |_| Some(wrong.clone())).await;
        let started = Instant::now();
        let failure = store(&destination, big()).await.expect_err(case);
        assert!(started.elapsed() < Duration::from_secs(20), "{case}");
        assert!(!failure.detail.contains("ha") || case != "laughs", "{failure}");
        assert!(destination.check("p").await.iter().any(|step| !step.ok), "{case}");
        assert!(started.elapsed() < Duration::from_secs(60), "{case}");
    }
}

#[tokio::test]
async fn uploads_that_are_listed_for_ever_are_given_up() {
    let list = "<ListMultipartUploadsResult><IsTruncated>true</IsTruncated><Upload><Key>f/o</Key>\
                <UploadId>u</UploadId></Upload></ListMultipartUploadsResult>";
    let (fake, destination) = fake(move |seen| (seen.method == "GET").then(|| Wrong::Say(200, list.to_owned()))).await;
    assert_eq!(destination.delete("o").await.expect_err("given up").code, FailureCode::DestinationFailed);
    assert!(fake.seen().len() < 120);
}

#[tokio::test]
async fn a_redirect_is_refused_and_the_keys_go_nowhere_else() {
    let (canary, _) = fake(|_| None).await;
    let to = canary.endpoint();
    let (_, destination) = {
        let fake = FakeS3::start(move |_| {
            let headers = vec![("location", to.clone()), ("x-amz-bucket-region", "eu-9".to_owned())];
            Some(Wrong::Refuse(307, "TemporaryRedirect", headers))
        })
        .await
        .expect("the fake");
        let destination = destination_at(&fake.endpoint(), &["127.0.0.0/8"]);
        let failure = store(&destination, Bytes::from_static(b"x")).await.expect_err("refused");
        assert_eq!(failure.code, FailureCode::DestinationRefused);
        assert!(failure.detail.contains("not followed") && failure.detail.contains("eu-9"), "{failure}");
        (fake, destination)
    };
    drop(destination);
    assert!(canary.seen().is_empty());
}

#[tokio::test]
async fn a_blocked_endpoint_is_never_connected_to() {
    let (canary, _) = fake(|_| None).await;
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let destination = destination_at(&format!("http://{host}:{}", canary.port()), &[]);
        let failure = store(&destination, Bytes::from_static(b"x")).await.expect_err(host);
        assert_eq!(failure.code, FailureCode::BlockedEgress, "{host}: {failure}");
        assert!(!destination.check("p").await.iter().all(|step| step.ok), "{host}");
    }
    assert!(canary.seen().is_empty());
}

#[tokio::test]
async fn only_the_destinations_own_key_is_sent_and_the_secret_never() {
    let (fake, destination) = fake(|_| None).await;
    store(&destination, big()).await.expect("is stored");
    destination.delete("o").await.expect("goes");
    for seen in fake.seen() {
        let signature = seen.headers.iter().find(|(name, _)| name == "authorization");
        let (_, signature) = signature.expect("every request is signed");
        assert!(signature.contains("Credential=OURKEY/"), "{signature}");
        assert!(!format!("{seen:?}").contains("secret"));
    }
}

#[tokio::test]
async fn a_copy_that_changed_or_went_is_not_read() {
    let changed = Arc::new(AtomicUsize::new(0));
    let count = changed.clone();
    let (_fake, destination) = fake(move |seen| {
        let is_range = seen.headers.iter().any(|(name, value)| name == "range" && value != "bytes=0-0");
        (is_range && count.load(Ordering::SeqCst) > 0).then_some(Wrong::Truncate(10 * MIB))
    })
    .await;
    let object = store(&destination, big()).await.expect("is stored");
    let reader = destination.open(&object).await.expect("opens");
    assert_eq!(reader.read_at(5, 10).await.expect("reads"), big().slice(5..15));
    changed.store(1, Ordering::SeqCst);
    let failure = reader.read_at((9 * MIB) as u64, 10).await.expect_err("another object");
    assert_eq!(failure.code, FailureCode::CopyDamaged, "{failure}");
    destination.delete("o").await.expect("goes");
    assert_eq!(destination.open(&object).await.err().expect("gone").code, FailureCode::CopyDamaged);
}

#[tokio::test]
async fn what_a_killed_worker_left_is_found_by_its_exact_name() {
    let (fake, destination) = fake(|_| None).await;
    for name in ["o", "o.001"] {
        let mut left = destination.put(name).await.expect("starts");
        left.write(big()).await.expect("is taken");
        drop(left);
    }
    assert_eq!(fake.unfinished(), ["f/o", "f/o.001"]);
    destination.delete("o").await.expect("goes");
    assert_eq!(fake.unfinished(), ["f/o.001"]);
}

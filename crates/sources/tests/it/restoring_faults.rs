//! Restores that must leave the target as it was and no staging folder behind.

use crate::support::{Bench, assert_no_staging, restore, spec, target};
use bytes::Bytes;
use holdfast_domain::FailureCode;
use holdfast_sources::files_restore::{self, RestoreTarget};
use holdfast_testbed::fault_proxy::{Fault, FaultProxy, LinkPlan};
use std::path::Path;
use std::time::{Duration, Instant};

async fn archive(bench: &Bench) -> Vec<u8> {
    let root = bench.tree("src", &[("a", "1"), ("b/c", "2")]);
    std::fs::File::create(root.join("big")).unwrap().set_len(24 << 20).unwrap();
    bench.read(&spec(&[&root], &[])).await.unwrap().0
}

/// Waits until the login's folder holds no staging folder.
async fn cleaned(dir: &Path) {
    let until = Instant::now() + Duration::from_secs(10);
    let is_clean =
        || !std::fs::read_dir(dir).unwrap().any(|e| e.unwrap().file_name().to_string_lossy().starts_with(".holdfast-"));
    while !is_clean() && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_no_staging(dir);
}

#[tokio::test]
async fn a_stream_that_breaks_off_anywhere_places_nothing() {
    let bench = Bench::new();
    let tar = archive(&bench).await;
    let home = bench.login.home();
    for fault in [Fault::Fin, Fault::Rst] {
        let proxy = FaultProxy::start(([127, 0, 0, 1], bench.sshd.port()).into(), LinkPlan::default()).await.unwrap();
        let mut writer =
            files_restore::open(bench.session_through(proxy.port()).await, &target(&home.join("back"))).await.unwrap();
        writer.write(Bytes::copy_from_slice(&tar[..12 << 20])).await.unwrap();
        proxy.strike(fault);
        let failure = loop {
            if let Err(failure) = writer.write(Bytes::copy_from_slice(&tar[..4 << 20])).await {
                break failure;
            }
        };
        assert_eq!(failure.code, FailureCode::ConnectionLost, "{fault:?}: {failure}");
        drop(writer);
        assert!(bench.left_after(Duration::from_secs(10)).await.is_empty());
        cleaned(home).await;
        assert!(!home.join("back").exists());
    }
}

#[tokio::test]
async fn a_whole_frame_is_not_the_end_and_a_dropped_writer_is_none() {
    let bench = Bench::new();
    let tar = archive(&bench).await;
    let home = bench.login.home();
    let mut writer = files_restore::open(bench.session().await, &target(&home.join("back"))).await.unwrap();
    // All of it, end mark included, in whole frames, but nobody said that this was all.
    for piece in tar.chunks(1 << 20) {
        writer.write(Bytes::copy_from_slice(piece)).await.unwrap();
    }
    drop(writer);
    assert!(bench.left_after(Duration::from_secs(10)).await.is_empty());
    cleaned(home).await;
    assert!(!home.join("back").exists());
}

#[tokio::test]
async fn an_abort_removes_what_was_staged_and_says_so() {
    let bench = Bench::new();
    let tar = archive(&bench).await;
    let home = bench.login.home();
    let mut writer = files_restore::open(bench.session().await, &target(&home.join("back"))).await.unwrap();
    writer.write(Bytes::copy_from_slice(&tar[..10 << 20])).await.unwrap();
    assert!(writer.abort().await);
    assert!(bench.left_after(Duration::from_secs(2)).await.is_empty());
    assert_no_staging(home);
    assert!(!home.join("back").exists());
}

#[tokio::test]
async fn a_truncated_or_damaged_archive_and_a_wrong_count_place_nothing() {
    let bench = Bench::new();
    let tar = archive(&bench).await;
    let home = bench.login.home();
    let mut damaged = tar.clone();
    damaged[..4096].fill(b'x');
    let counted = RestoreTarget { expected_entries: Some(99), ..target(&home.join("back")) };
    for (what, target, bytes) in [
        ("truncated", target(&home.join("back")), &tar[..20 << 20]),
        ("damaged", target(&home.join("back")), &damaged[..]),
        ("empty", target(&home.join("back")), &[0; 10_240][..]),
        ("count", counted, &tar[..]),
    ] {
        let failure = restore(bench.session().await, &target, bytes).await.unwrap_err();
        assert_eq!(failure.code, FailureCode::RestoreIncomplete, "{what}: {failure}");
        assert!(!home.join("back").exists(), "{what}");
        cleaned(home).await;
    }
}

#[tokio::test]
async fn words_inside_the_payload_are_not_taken_for_ours() {
    // A tar that gives up early: what is still on its way then reads like our own words.
    let script = "#!/bin/sh\ncase $* in *--version|*--help) exec /bin/tar \"$@\";; esac\n/usr/bin/head -c 1000 >/dev/null\nexit 2\n";
    let tools =
        ["base64", "tr", "rm", "dd", "mktemp", "find", "mv", "stat", "id", "ls", "mkdir", "chmod", "wc", "head"];
    let mut tools: Vec<(&str, Option<&str>)> = tools.iter().map(|tool| (*tool, None)).collect();
    tools.push(("tar", Some(script)));
    let bench = Bench::with_tools(&tools);
    let home = bench.login.home();
    let mut writer = files_restore::open(bench.session().await, &target(&home.join("back"))).await.unwrap();
    let words = Bytes::from("place\nend\nplace\n".repeat(300_000));
    let failure = loop {
        if let Err(failure) = writer.write(words.clone()).await {
            break failure;
        }
    };
    assert_eq!(failure.code, FailureCode::RestoreIncomplete, "{failure}");
    assert!(!home.join("back").exists());
    drop(writer);
    cleaned(home).await;
}

#[tokio::test]
async fn an_unwritable_parent_and_a_full_disk_are_named() {
    let bench = Bench::new();
    let tar = archive(&bench).await;
    let failure = restore(bench.session().await, &target(Path::new("/hf-not-ours/x")), &tar).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::TargetUnwritable, "{failure}");
    let file = bench.tree("f", &[("file", "x")]).join("file");
    let failure = restore(bench.session().await, &target(&file), &tar).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::TargetExists, "{failure}");

    let small = bench.tree("small", &[]);
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=4m,mode=777", "none"])
        .arg(&small)
        .status()
        .unwrap();
    if mounted.success() {
        let failure = restore(bench.session().await, &target(&small.join("back")), &tar).await.unwrap_err();
        cleaned(&small).await;
        let _ = std::process::Command::new("umount").arg(&small).status();
        assert_eq!(failure.code, FailureCode::TargetUnwritable, "{failure}");
    }
}

#[tokio::test]
async fn a_server_without_gnu_tar_is_refused() {
    let tar = "#!/bin/sh\nexec /bin/busybox tar \"$@\"\n";
    let tools = [("base64", None), ("tr", None), ("rm", None), ("tar", Some(tar))];
    let bench = Bench::with_tools(&tools);
    let failure =
        restore(bench.session().await, &target(&bench.login.home().join("back")), &[0; 1024]).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::MissingTool, "{failure}");
}

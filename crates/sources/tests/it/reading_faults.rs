//! Files that change under the reader, programs and links that end early, clients that go away.

use crate::support::{Bench, below, read_all, spec, warned, write};
use holdfast_domain::FailureCode;
use holdfast_domain::warning::WarningCode;
use holdfast_sources::files;
use holdfast_testbed::fault_proxy::{Fault, FaultProxy, LinkPlan};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// More than window and buffers take, so that tar waits in the middle of it while nobody reads.
const BIG: u64 = 96 << 20;

fn with_big(bench: &Bench) -> (PathBuf, PathBuf) {
    let root = bench.tree("tree", &[("a", "1"), ("m/one", "x"), ("m/two", "y"), ("z", "last")]);
    let big = root.join("big");
    std::fs::File::create(&big).unwrap().set_len(BIG).unwrap();
    bench.login.give(&root).unwrap();
    (root, big)
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn an_unreadable_file_is_a_named_warning() {
    let bench = Bench::new();
    let root = bench.tree("tree", &[("ok", "1"), ("secret: file", "2"), ("shut/in", "3")]);
    chmod(&root.join("secret: file"), 0o000);
    chmod(&root.join("shut"), 0o000);
    let (tar, report) = bench.read(&spec(&[&root], &[])).await.unwrap();
    assert_eq!(below(&tar, &root), ["ok"]);
    let mut warned = warned(&report);
    warned.sort_by_key(|w| w.1.clone());
    let path = |name: &str| root.join(name).display().to_string();
    assert_eq!(warned, [(WarningCode::Unreadable, path("secret: file")), (WarningCode::Unreadable, path("shut"))]);
    chmod(&root.join("shut"), 0o755);
}

#[tokio::test]
async fn growing_shrinking_and_vanishing_files_are_named() {
    let bench = Bench::new();
    let (root, big) = with_big(&bench);
    for (what, code, path) in [
        ("grow", WarningCode::Changed, "big"),
        ("shrink", WarningCode::Shrunk, "big"),
        ("vanish", WarningCode::Vanished, "z"),
    ] {
        let mut reader = bench.open(&spec(&[&root], &[])).await.unwrap();
        let mut tar = reader.next().await.unwrap().unwrap().to_vec();
        while tar.len() < 1 << 20 {
            tar.extend_from_slice(&reader.next().await.unwrap().unwrap());
        }
        match what {
            "grow" => OpenOptions::new().append(true).open(&big).unwrap().write_all(b"more").unwrap(),
            "shrink" => OpenOptions::new().write(true).open(&big).unwrap().set_len(BIG - (8 << 20)).unwrap(),
            _ => std::fs::remove_file(root.join("z")).unwrap(),
        }
        while let Some(bytes) = reader.next().await.unwrap() {
            tar.extend_from_slice(&bytes);
        }
        let report = reader.report().unwrap();
        let mut codes = warned(report);
        // A file that shrinks changes as well, and tar says both.
        codes.retain(|w| what != "shrink" || w.0 != WarningCode::Changed);
        // The folder of a file that vanished changed too.
        codes.retain(|w| w.1 != root.display().to_string());
        assert_eq!(codes, [(code, root.join(path).display().to_string())], "{what}");
        assert!(below(&tar, &root).contains(&"big".to_owned()));
    }
}

#[tokio::test]
async fn a_tar_that_is_killed_is_a_failure_whatever_came_before() {
    let bench = Bench::new();
    let (root, _) = with_big(&bench);
    let mut reader = bench.open(&spec(&[&root], &[])).await.unwrap();
    reader.next().await.unwrap().unwrap();
    let killed =
        std::process::Command::new("pkill").args(["-KILL", "-x", "tar", "-u", bench.login.name()]).status().unwrap();
    assert!(killed.success());
    let failure = read_all(reader).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::SourceFailed);
    assert!(failure.detail.contains("signal 9"), "{failure}");
}

#[tokio::test]
async fn a_tar_that_fails_late_or_says_something_new_is_a_failure() {
    for (what, ending) in [
        ("status 2", "exit 2"),
        ("unknown sentence", "echo 'tar: x: something new' >&2; exit 0"),
        ("status 1 without a word", "exit 1"),
        ("unknown status", "exit 77"),
    ] {
        let script =
            format!("#!/bin/sh\ncase $* in --version|--help) exec /bin/tar \"$@\";; esac\n/bin/tar \"$@\"\n{ending}\n");
        let bench = Bench::with_tools(&[("base64", None), ("tr", None), ("tar", Some(&script))]);
        let root = bench.tree("tree", &[("a", "1")]);
        let failure = bench.read(&spec(&[&root], &[])).await.unwrap_err();
        assert_eq!(failure.code, FailureCode::SourceFailed, "{what}: {failure}");
    }
}

#[tokio::test]
async fn a_cut_or_stalled_link_is_never_an_end() {
    let bench = Bench::new();
    let (root, _) = with_big(&bench);
    for (fault, code) in [
        (Fault::Fin, FailureCode::ConnectionLost),
        (Fault::Rst, FailureCode::ConnectionLost),
        (Fault::Stall, FailureCode::Stalled),
    ] {
        let plan = LinkPlan { fault, after_bytes: 30 << 20, ..LinkPlan::default() };
        let proxy = FaultProxy::start(([127, 0, 0, 1], bench.sshd.port()).into(), plan).await.unwrap();
        let reader = files::open(bench.session_through(proxy.port()).await, &spec(&[&root], &[])).await.unwrap();
        let failure = read_all(reader).await.unwrap_err();
        assert_eq!(failure.code, code, "{fault:?}: {failure}");
        drop(proxy);
        let left = bench.left_after(Duration::from_secs(5)).await;
        assert!(left.is_empty(), "{fault:?}: {left:?}");
    }
}

#[tokio::test]
async fn a_cancel_or_a_dropped_reader_leaves_nothing_on_the_server() {
    let bench = Bench::new();
    let (root, _) = with_big(&bench);
    let mut reader = bench.open(&spec(&[&root], &[])).await.unwrap();
    reader.next().await.unwrap().unwrap();
    assert!(reader.cancel().await);
    assert!(bench.left_after(Duration::from_secs(2)).await.is_empty());
    let mut reader = bench.open(&spec(&[&root], &[])).await.unwrap();
    reader.next().await.unwrap().unwrap();
    drop(reader);
    let left = bench.left_after(Duration::from_secs(5)).await;
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_child_that_says_nothing_dies_with_its_client() {
    let script =
        "#!/bin/sh\ncase $* in --version|--help) exec /bin/tar \"$@\";; esac\nprintf x\nexec /bin/sleep 1000\n";
    let bench = Bench::with_tools(&[("base64", None), ("tr", None), ("tar", Some(script))]);
    let root = bench.tree("tree", &[("a", "1")]);
    let mut reader = bench.open(&spec(&[&root], &[])).await.unwrap();
    reader.next().await.unwrap().unwrap();
    bench.await_process("sleep 1000").await;
    drop(reader);
    let left = bench.left_after(Duration::from_secs(5)).await;
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn an_empty_archive_is_a_failure() {
    let script =
        "#!/bin/sh\ncase $* in --version|--help) exec /bin/tar \"$@\";; esac\nexec /bin/tar -cf - -T /dev/null\n";
    let bench = Bench::with_tools(&[("base64", None), ("tr", None), ("tar", Some(script))]);
    let root = bench.tree("tree", &[("a", "1")]);
    write(&root.join("b"), "2", 0o644);
    let failure = bench.read(&spec(&[&root], &[])).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::EmptySource, "{failure}");
}

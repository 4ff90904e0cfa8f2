//! What is read, and what is left out.

use crate::support::{Bench, below, names, spec, warned};
use holdfast_domain::FailureCode;
use holdfast_domain::warning::WarningCode;
use holdfast_testbed::sshd::Login;
use holdfast_testbed::tree::{TreeSpec, generate};
use std::os::unix::fs::symlink;

#[tokio::test]
async fn a_tree_is_read_whole_with_its_report() {
    let bench = Bench::new();
    let root = bench.login.home().join("tree");
    let made = generate(&root, &TreeSpec { fifo: true, ..TreeSpec::small(7, false) }).unwrap();
    bench.login.give(&root).unwrap();
    let (tar, report) = bench.read(&spec(&[&root], &[])).await.unwrap();
    assert_eq!(report.exit_status, 0);
    assert!(report.warnings.is_empty(), "{report:?}");
    assert!(report.tools["tar"].starts_with("tar (GNU tar) "), "{report:?}");
    assert_eq!(report.size_bytes, tar.len() as u64);
    assert_eq!(names(&tar).len() as u64, made.entries() + 1, "and the pipe");
    assert!(tar.ends_with(&[0; 1024]));
}

#[tokio::test]
async fn excludes_mean_what_the_manual_says() {
    let bench = Bench::new();
    let root = bench.tree(
        "tree",
        &[
            ("a.log", ""),
            ("keep", ""),
            ("sub/b.log", ""),
            ("sub/cache/z", ""),
            ("sub/deep/cache/y", ""),
            ("cache.d/x", ""),
            ("-n", ""),
            ("--exclude=keep", ""),
            ("[x]", ""),
            ("x", ""),
        ],
    );
    let anchored = |rest: &str| format!("{}/{rest}", root.display());
    let all = [
        "--exclude=keep",
        "-n",
        "[x]",
        "a.log",
        "cache.d",
        "cache.d/x",
        "keep",
        "sub",
        "sub/b.log",
        "sub/cache",
        "sub/cache/z",
        "sub/deep",
        "sub/deep/cache",
        "sub/deep/cache/y",
        "x",
    ];
    for (exclude, gone) in [
        ("*.log".to_owned(), &["a.log", "sub/b.log"][..]),
        ("cache".to_owned(), &["sub/cache", "sub/cache/z", "sub/deep/cache", "sub/deep/cache/y"]),
        (anchored("sub/cache"), &["sub/cache", "sub/cache/z"]),
        // A star stays within a name.
        (anchored("*/cache"), &["sub/cache", "sub/cache/z"]),
        (anchored("sub/*/y"), &[]),
        ("deep/cache/".to_owned(), &["sub/deep/cache", "sub/deep/cache/y"]),
        ("-n".to_owned(), &["-n"]),
        ("--exclude=keep".to_owned(), &["--exclude=keep"]),
        ("--checkpoint-action=exec=touch /tmp/holdfast-pwn".to_owned(), &[]),
        ("$(touch /tmp/holdfast-pwn)\nkeep".to_owned(), &[]),
        ("\\[x\\]".to_owned(), &["[x]"]),
    ] {
        let (tar, report) = bench.read(&spec(&[&root], &[&exclude])).await.unwrap();
        let left: Vec<&str> = all.iter().copied().filter(|n| !gone.contains(n)).collect();
        assert_eq!(below(&tar, &root), left, "{exclude}");
        assert!(report.warnings.is_empty(), "{exclude}: {report:?}");
    }
    assert!(!std::path::Path::new("/tmp/holdfast-pwn").exists());
}

#[tokio::test]
async fn hostile_names_are_read_as_names() {
    let bench = Bench::new();
    let hostile = [
        "$(touch pwn)",
        "`touch pwn`",
        "--checkpoint=1",
        "--checkpoint-action=exec=touch pwn",
        "-rf",
        "a\nb",
        "'\"\\",
        " ",
        "ü\u{202e}x",
        "*",
    ];
    let files: Vec<(String, &str)> = hostile.iter().map(|n| (format!("{n}/f"), "x")).collect();
    let files: Vec<(&str, &str)> = files.iter().map(|(n, c)| (n.as_str(), *c)).collect();
    let root = bench.tree("tree", &files);
    let paths: Vec<_> = hostile.iter().map(|n| root.join(n)).collect();
    let paths: Vec<&std::path::Path> = paths.iter().map(std::path::PathBuf::as_path).collect();
    let (tar, report) = bench.read(&spec(&paths, &[])).await.unwrap();
    assert!(report.warnings.is_empty(), "{report:?}");
    let mut expected: Vec<String> = hostile.iter().flat_map(|n| [(*n).to_owned(), format!("{n}/f")]).collect();
    expected.sort();
    assert_eq!(below(&tar, &root), expected);
    assert!(!bench.login.home().join("pwn").exists());
}

#[tokio::test]
async fn a_chatty_login_shell_is_not_part_of_the_data() {
    let bench = Bench::with("", Login::create_with("/bin/bash", None).unwrap());
    // bash reads this when sshd starts it.
    std::fs::write(bench.login.home().join(".bashrc"), "echo welcome; echo holdfast:dat; echo tar: x >&2\n").unwrap();
    let root = bench.tree("tree", &[("a", "1")]);
    let (tar, report) = bench.read(&spec(&[&root], &[])).await.unwrap();
    assert_eq!(below(&tar, &root), ["a"]);
    assert!(report.warnings.is_empty(), "{report:?}");
}

#[tokio::test]
async fn pipes_are_not_opened_sockets_are_named_links_are_not_followed() {
    let bench = Bench::new();
    let root = bench.tree("tree", &[("file", "x")]);
    let made = std::process::Command::new("mkfifo").arg(root.join("pipe")).status().unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(root.join("so: cket")).unwrap();
    symlink("/etc", root.join("etc")).unwrap();
    symlink(&root, bench.login.home().join("top")).unwrap();
    let top = bench.login.home().join("top");
    let (tar, report) = bench.read(&spec(&[&root, &top], &[])).await.unwrap();
    assert!(made.success());
    assert_eq!(below(&tar, &root), ["etc", "file", "pipe"]);
    let mut warned = warned(&report);
    warned.sort_by_key(|w| w.1.clone());
    let expected = [top.display().to_string(), root.join("so: cket").display().to_string()];
    assert_eq!(warned, expected.map(|path| (WarningCode::NotStored, path)));
}

#[tokio::test]
async fn what_is_not_there_or_not_allowed_fails_before_a_byte() {
    let bench = Bench::new();
    let root = bench.tree("tree", &[("a", "1"), ("shut/b", "")]);
    let failure = bench.open(&spec(&[&root, &root.join("no\nsuch")], &[])).await.err().unwrap();
    assert_eq!(failure.code, FailureCode::MissingPath);
    assert!(failure.detail.contains("no\u{fffd}such"), "{failure}");
    std::fs::set_permissions(root.join("shut"), std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
    let failure = bench.open(&spec(&[&root, &root.join("shut")], &[])).await.err().unwrap();
    assert_eq!(failure.code, FailureCode::EmptySource, "{failure}");
    for (paths, excludes) in [(&["relative"][..], &[][..]), (&["/a/../etc"], &[]), (&[], &[]), (&["/home"], &["home"])]
    {
        let spec = holdfast_domain::source::FilesSpec {
            paths: paths.iter().map(|p| (*p).to_owned()).collect(),
            excludes: excludes.iter().map(|e| (*e).to_owned()).collect(),
            one_file_system: true,
            sparse: false,
        };
        assert_eq!(bench.open(&spec).await.err().unwrap().code, FailureCode::InvalidConfig, "{paths:?}");
    }
}

#[tokio::test]
async fn a_server_without_tar_or_with_busybox_only() {
    let bench = Bench::with_tools(&[("base64", None), ("tr", None)]);
    let root = bench.tree("tree", &[("a", "1"), ("b/c", "2")]);
    let failure = bench.open(&spec(&[&root], &[])).await.err().unwrap();
    assert_eq!(failure.code, FailureCode::MissingTool, "{failure}");

    let tar = "#!/bin/sh\nexec /bin/busybox tar \"$@\"\n";
    let bench = Bench::with_tools(&[("base64", None), ("tr", None), ("tar", Some(tar))]);
    let root = bench.tree("tree", &[("a", "1"), ("b/c", "2")]);
    let (stream, report) = bench.read(&spec(&[&root], &[])).await.unwrap();
    assert_eq!(below(&stream, &root), ["a", "b", "b/c"]);
    assert!(report.tools["tar"].contains("busybox"), "{report:?}");
    let failure = bench.open(&spec(&[&root], &["x"])).await.err().unwrap();
    assert_eq!(failure.code, FailureCode::MissingTool, "{failure}");
    std::fs::set_permissions(root.join("a"), std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
    let failure = bench.read(&spec(&[&root], &[])).await.unwrap_err();
    assert_eq!(failure.code, FailureCode::SourceFailed, "{failure}");
}

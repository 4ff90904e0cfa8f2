//! What we store is opened by `age`, `zstd` and `tar` alone.

use crate::support::{IDENTITY, PASSWORD, noise, recipients, run, store};
use holdfast_pipeline::{EncodeOptions, Encryption, StreamFormat};
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

/// A tar of a small tree, and the tree's folder.
fn tree() -> (tempfile::TempDir, Vec<u8>) {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir_all(folder.path().join("tree/sub")).expect("is made");
    fs::write(folder.path().join("tree/a.bin"), noise(6 << 20, 1)).expect("is written");
    fs::write(folder.path().join("tree/sub/b.txt"), "b\n".repeat(100_000)).expect("is written");
    let tar = run("tar", &["--format=posix", "--sort=name", "-cf", "-", "tree"], folder.path()).expect("tar makes it");
    (folder, tar)
}

#[tokio::test]
async fn age_zstd_and_tar_give_the_tree_back() {
    let (folder, tar) = tree();
    let at = folder.path();
    let stored = store(&tar, 256 << 10, EncodeOptions::new(StreamFormat::Tar, recipients())).await.expect("stores");
    fs::write(at.join("b.tar.zst.age"), &stored.body).expect("is written");
    fs::write(at.join("key.txt"), IDENTITY).expect("is written");
    fs::create_dir(at.join("out")).expect("is made");
    let line = "age -d -i key.txt b.tar.zst.age | zstd -d | tar -x -C out";
    run("sh", &["-c", line], at).expect("the commands open it");
    run("diff", &["-r", "tree", "out/tree"], at).expect("nothing differs");
}

#[tokio::test]
async fn zstd_tests_lists_and_opens_an_unencrypted_copy() {
    let (folder, tar) = tree();
    let at = folder.path();
    let options = EncodeOptions::new(StreamFormat::Tar, Encryption::None);
    let stored = store(&tar, 256 << 10, options).await.expect("stores");
    fs::write(at.join("b.tar.zst"), &stored.body).expect("is written");
    run("zstd", &["-t", "b.tar.zst"], at).expect("zstd finds it whole");
    assert!(run("zstd", &["-dc", "b.tar.zst"], at).expect("zstd opens it") == tar);
    let list = String::from_utf8(run("zstd", &["-lv", "b.tar.zst"], at).expect("zstd lists it")).expect("text");
    assert!(list.contains("# Skippable Frames: 1") && list.contains("XXH64"), "{list}");
}

#[tokio::test]
async fn zstd_opens_an_empty_stream() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = EncodeOptions::new(StreamFormat::Opaque, Encryption::None);
    let stored = store(b"", 1, options).await.expect("stores");
    fs::write(folder.path().join("e.zst"), &stored.body).expect("is written");
    assert_eq!(run("zstd", &["-dc", "e.zst"], folder.path()).expect("zstd opens it"), b"");
}

/// `age` asks for a password on a terminal: `script` gives it one.
#[tokio::test]
async fn age_opens_a_password_copy() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let plain = noise(100_000, 3);
    let options = EncodeOptions::new(StreamFormat::Opaque, Encryption::Password(PASSWORD.into()));
    let stored = store(&plain, 4096, options).await.expect("stores");
    fs::write(at.join("b.zst.age"), &stored.body).expect("is written");
    let mut script = Command::new("script")
        .args(["-qec", "age -d -o b.zst b.zst.age", "/dev/null"])
        .current_dir(at)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("script starts");
    let mut terminal = script.stdin.take().expect("is piped");
    terminal.write_all(format!("{PASSWORD}\n").as_bytes()).expect("is typed");
    assert!(script.wait().expect("it ends").success());
    assert!(run("zstd", &["-dc", "b.zst"], at).expect("zstd opens it") == plain);
}

#[tokio::test]
async fn the_index_opens_with_the_same_commands() {
    let (folder, tar) = tree();
    let at = folder.path();
    let stored = store(&tar, 256 << 10, EncodeOptions::new(StreamFormat::Tar, recipients())).await.expect("stores");
    fs::write(at.join("i.zst.age"), &stored.index).expect("is written");
    fs::write(at.join("key.txt"), IDENTITY).expect("is written");
    let lines = run("sh", &["-c", "age -d -i key.txt i.zst.age | zstd -d"], at).expect("the commands open it");
    let text = String::from_utf8(lines).expect("text");
    let paths: Vec<String> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"))
        .filter_map(|line| line["path"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(paths, ["tree/", "tree/a.bin", "tree/sub/", "tree/sub/b.txt"]);
}

//! The programs of files under every shell that may be `/bin/sh` on a server, without SSH in between.

use crate::{files, files_restore};
use holdfast_domain::source::FilesSpec;
use holdfast_remote::opening;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const FIRST: &str = r#"IFS= read -r p; eval "$(printf %s "$p" | base64 -d)""#;
pub(crate) const SHELLS: [&[&str]; 3] = [&["dash"], &["bash", "--posix"], &["busybox", "sh"]];

/// `program` with `fields` under `sh`. Its input stays open until it ends, as a connection does.
pub(crate) fn run(sh: &[&str], program: &str, fields: &[&[u8]], rest: &[u8]) -> Output {
    let child = Command::new(sh[0])
        .args(&sh[1..])
        .args(["-c", FIRST])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&opening(program, fields)).unwrap();
    input.write_all(rest).unwrap();
    let output = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| child.wait_with_output());
        waiting.join().unwrap().unwrap()
    });
    drop(input);
    output
}

fn read(sh: &[&str], root: &Path) -> Vec<u8> {
    let spec = FilesSpec {
        paths: vec![root.to_str().unwrap().to_owned()],
        excludes: vec!["*.log".to_owned(), format!("{}/gone", root.display())],
        one_file_system: true,
        sparse: true,
    };
    let fields = files::fields(&spec).unwrap();
    let fields: Vec<&[u8]> = fields.iter().map(String::as_bytes).collect();
    let output = run(sh, files::PROGRAM, &fields, b"");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{sh:?}: {said}");
    output.stdout.strip_prefix(b"holdfast:data\n").unwrap().to_vec()
}

#[test]
fn what_one_shell_reads_every_shell_puts_back() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("a tree $(x)");
    for (name, content) in [("a", "1"), ("sub/b\nc", "2"), ("x.log", "no"), ("gone/x", "no"), ("-f", "3")] {
        let path = root.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let streams = SHELLS.map(|sh| read(sh, &root));
    assert!(streams.iter().all(|stream| *stream == streams[0]));
    for sh in SHELLS {
        let target = dir.path().join(format!("back {}", sh[0]));
        let fields = [target.to_str().unwrap().trim_start_matches('/'), "refuse", "contents_only", "0", "1"];
        let top = root.to_str().unwrap().trim_start_matches('/');
        let fields: Vec<&[u8]> = fields.iter().chain([&top]).map(|f| f.as_bytes()).collect();
        let (head, tail) = streams[0].split_at(1000);
        let mut input = format!("{}\n", head.len()).into_bytes();
        input.extend_from_slice(head);
        input.extend_from_slice(format!("{}\n", tail.len()).as_bytes());
        input.extend_from_slice(tail);
        input.extend_from_slice(b"end\nplace\n");
        let output = run(sh, files_restore::PROGRAM, &fields, &input);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.stdout.ends_with(b"holdfast:done\n"), "{sh:?}: {said}");
        let text = |name: &str| std::fs::read_to_string(target.join(name)).ok();
        assert_eq!(
            [text("a"), text("sub/b\nc"), text("-f")],
            ["1", "2", "3"].map(|t| Some(t.to_owned())),
            "{sh:?}: {said}"
        );
        assert_eq!([text("x.log"), text("gone/x")], [None, None], "{sh:?}");
    }
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 1 + SHELLS.len(), "{left:?}");
}

#[test]
fn an_input_that_ends_early_places_nothing_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("src");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join("a"), "1").unwrap();
    let stream = read(SHELLS[0], &root);
    let framed = [format!("{}\n", stream.len()).as_bytes(), &stream].concat();
    let target = dir.path().join("back");
    for sh in SHELLS {
        // In the middle of a frame, after it, after the end, with another word than ours, and with ours after a break.
        let broken =
            [&b""[..], b"end\n", b"end\nplac\n", b"undo\nplace\n", b"\nplace\n"].map(|tail| [&framed, tail].concat());
        for input in broken.iter().map(Vec::as_slice).chain([&framed[..300]]) {
            let fields = [target.to_str().unwrap().trim_start_matches('/'), "refuse", "keep_path", "0", "0"];
            let fields: Vec<&[u8]> = fields.iter().map(|f| f.as_bytes()).collect();
            let mut child = Command::new(sh[0])
                .args(&sh[1..])
                .args(["-c", FIRST])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let mut stdin = child.stdin.take().unwrap();
            stdin.write_all(&opening(files_restore::PROGRAM, &fields)).unwrap();
            stdin.write_all(input).unwrap();
            drop(stdin);
            let output = child.wait_with_output().unwrap();
            assert!(!String::from_utf8_lossy(&output.stdout).contains("holdfast:done"), "{sh:?}");
            let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
            assert_eq!(left, ["src"], "{sh:?}");
        }
    }
}

//! Against real file systems: a full one, one whose fsync fails, planted links, a root that is not there.

use super::*;
use bytes::Bytes;
use holdfast_pipeline::digest::digest_of;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::{Command, Output};

const TEAM: Uuid = Uuid::from_u128(0x0123_4567_89ab_4def_8123_4567_89ab_cdef);
const ID: Uuid = Uuid::from_u128(0x1111_1111_1111_4111_8111_1111_1111_1111);

fn at(path: &Path) -> LocalDestination {
    let root = LocalRoot::open(path, ID).expect("the root opens");
    LocalDestination::new(root, TEAM, BackupDestinationId(7))
}

fn chunk(len: usize) -> Bytes {
    Bytes::from((0..len).map(|i| (i * 7 % 253) as u8).collect::<Vec<u8>>())
}

async fn store(destination: &LocalDestination, name: &str, bytes: &Bytes) -> Result<ManifestObject, Failure> {
    let mut sink = destination.put(name).await?;
    for part in bytes.chunks(10_000) {
        if let Err(failure) = sink.write(Bytes::copy_from_slice(part)).await {
            sink.abort().await;
            return Err(failure);
        }
    }
    sink.commit().await
}

/// Every file below `path`, relative.
fn files(path: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("is there").map(|e| e.expect("is there").path()) {
            if entry.is_dir() && !entry.is_symlink() {
                folders.push(entry);
            } else {
                found.push(entry.strip_prefix(path).expect("is below").to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    found
}

fn placed(name: &str) -> String {
    format!("{TEAM}/7/{name}")
}

#[tokio::test]
async fn an_object_lies_where_it_should_and_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let destination = at(folder.path());
    let bytes = chunk(1_000_000);
    let object = store(&destination, "backups/weekly/a.tar.zst.age", &bytes).await.expect("is stored");
    assert_eq!(object, ManifestObject { name: "backups/weekly/a.tar.zst.age".to_owned(), digest: digest_of(&bytes) });
    assert_eq!(files(folder.path()), [placed("backups/weekly/a.tar.zst.age"), "store.id".to_owned()]);
    let mode = |name: &str| fs::metadata(folder.path().join(name)).expect("is there").permissions().mode() & 0o777;
    assert_eq!((mode(&placed("backups/weekly/a.tar.zst.age")), mode(&placed("backups"))), (0o600, 0o700));
    let reader = destination.open(&object).await.expect("opens");
    assert_eq!(reader.size_bytes(), 1_000_000);
    assert_eq!(reader.read_at(999_990, 100).await.expect("reads"), bytes.slice(999_990..));
    assert_eq!(reader.read_at(1_000_000, 100).await.expect("reads"), Bytes::new());
    destination.delete(&object.name).await.expect("is deleted");
    destination.delete(&object.name).await.expect("absent is fine");
    destination.delete("never/was").await.expect("absent is fine");
    assert_eq!(files(folder.path()), ["store.id"]);
}

#[tokio::test]
async fn nothing_has_the_final_name_before_the_commit_and_nothing_stays_after_an_abort() {
    let folder = tempfile::tempdir().expect("a folder");
    let destination = at(folder.path());
    for is_dropped in [false, true] {
        let mut sink = destination.put("a/b").await.expect("starts");
        sink.write(chunk(100_000)).await.expect("is taken");
        assert_eq!(files(folder.path()), [placed("a/b.part"), "store.id".to_owned()]);
        if is_dropped {
            drop(sink)
        } else {
            sink.abort().await
        }
        let gone = async {
            while files(folder.path()) != ["store.id"] {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), gone).await.expect("the part goes");
    }
}

#[tokio::test]
async fn a_taken_name_is_never_written_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let destination = at(folder.path());
    let first = store(&destination, "a", &chunk(10)).await.expect("is stored");
    assert_eq!(store(&destination, "a", &chunk(20)).await.expect_err("is taken").code, FailureCode::DestinationFailed);
    let reader = destination.open(&first).await.expect("the first is whole");
    assert_eq!(reader.read_at(0, 100).await.expect("reads"), chunk(10));
    assert_eq!(files(folder.path()), [placed("a"), "store.id".to_owned()]);
    let _running = destination.put("b").await.expect("starts");
    assert!(destination.put("b").await.is_err(), "two writers of one name");
}

#[tokio::test]
async fn links_are_not_followed() {
    let (folder, outside) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let destination = at(folder.path());
    let secret = store(&destination, "backups/a", &chunk(10)).await.expect("is stored");
    let ours = folder.path().join(placed(""));
    fs::write(outside.path().join("a"), [0; 10]).expect("is written");
    for (link, target) in [("out", outside.path()), ("up", Path::new("../..")), ("inside", Path::new("backups"))] {
        symlink(target, ours.join(link)).expect("is linked");
        let name = format!("{link}/a");
        assert_eq!(
            store(&destination, &name, &chunk(10)).await.expect_err("refused").code,
            FailureCode::DestinationFailed
        );
        let object = ManifestObject { name: name.clone(), digest: secret.digest.clone() };
        destination.open(&object).await.err().expect("refused");
        destination.delete(&name).await.expect_err("refused");
    }
    symlink(outside.path().join("a"), ours.join("file")).expect("is linked");
    let object = ManifestObject { name: "file".to_owned(), digest: secret.digest.clone() };
    destination.open(&object).await.err().expect("refused");
    destination.delete("file").await.expect("the link goes");
    assert_eq!(files(outside.path()), ["a"]);
    assert_eq!(fs::read(outside.path().join("a")).expect("is there"), [0; 10]);
    assert!(destination.open(&secret).await.is_ok());
}

#[tokio::test]
async fn names_that_are_no_plain_paths_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let destination = at(folder.path());
    for name in ["../x", "a/../../../x", "/etc/x", "a//b", "", ".", "a/.", "..", "a\\..\\b", "a\0b"] {
        assert_eq!(destination.put(name).await.err().expect(name).code, FailureCode::InvalidConfig, "{name:?}");
        assert_eq!(destination.delete(name).await.expect_err(name).code, FailureCode::InvalidConfig, "{name:?}");
    }
    assert_eq!(files(folder.path()), ["store.id"]);
}

#[tokio::test]
async fn a_planted_pipe_does_not_hang_the_reader() {
    let folder = tempfile::tempdir().expect("a folder");
    let destination = at(folder.path());
    store(&destination, "a", &chunk(10)).await.expect("is stored");
    let pipe = folder.path().join(placed("pipe"));
    assert!(Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs").success());
    let object = ManifestObject { name: "pipe".to_owned(), digest: digest_of(b"") };
    let opened = tokio::time::timeout(Duration::from_secs(10), destination.open(&object)).await.expect("it answers");
    opened.err().expect("refused");
}

#[tokio::test]
async fn a_root_that_is_not_there_is_offline_and_nothing_counts_as_deleted() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().join("mount");
    fs::create_dir(&root).expect("is made");
    let destination = at(&root);
    let object = store(&destination, "a", &chunk(10)).await.expect("is stored");
    let unfinished = destination.put("unfinished").await.expect("starts");
    fs::rename(&root, folder.path().join("elsewhere")).expect("is moved");
    let other = Uuid::from_u128(5);
    for case in ["no folder", "an empty folder", "another store"] {
        match case {
            "no folder" => (),
            "an empty folder" => fs::create_dir(&root).expect("is made"),
            _ => drop(LocalRoot::open(&root, other).expect("opens")),
        }
        let codes = [
            destination.put("b").await.err().expect(case).code,
            destination.open(&object).await.err().expect(case).code,
            destination.delete("a").await.expect_err(case).code,
            destination.usage().await.expect_err(case).code,
        ];
        assert_eq!(codes, [FailureCode::StoreOffline; 4], "{case}");
        assert!(!destination.check("probe").await[0].ok);
    }
    assert_eq!(unfinished.commit().await.expect_err("offline").code, FailureCode::StoreOffline);
    assert_eq!(files(&folder.path().join("elsewhere")), [placed("a"), "store.id".to_owned()]);
    assert_eq!(files(&root), ["store.id"]);
    assert_eq!(LocalRoot::open(Path::new("/nowhere/at/all"), ID).err().expect("no").code, FailureCode::StoreOffline);
}

#[tokio::test]
async fn a_root_keeps_its_id_and_the_first_of_two_workers_names_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_owned();
    let openers: Vec<_> = (0..8u128)
        .map(|i| {
            std::thread::spawn({
                let path = path.clone();
                move || LocalRoot::open(&path, Uuid::from_u128(i)).expect("opens").store_id()
            })
        })
        .collect();
    let ids: Vec<Uuid> = openers.into_iter().map(|o| o.join().expect("ends")).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(LocalRoot::open(&path, ID).expect("opens").store_id(), ids[0]);
    assert_eq!(files(&path), ["store.id"]);
    fs::write(path.join("store.id"), "not an id").expect("is written");
    assert_eq!(LocalRoot::open(&path, ID).err().expect("no id").code, FailureCode::InvalidConfig);
    assert_eq!(LocalRoot::open(Path::new("relative"), ID).err().expect("no").code, FailureCode::InvalidConfig);
}

#[tokio::test]
async fn a_check_writes_reads_and_deletes() {
    let folder = tempfile::tempdir().expect("a folder");
    let destination = at(folder.path());
    let steps = destination.check("probe").await;
    assert_eq!(
        steps.iter().map(|s| (s.name.as_str(), s.ok)).collect::<Vec<_>>(),
        [("write", true), ("read_back", true), ("delete", true)]
    );
    assert_eq!(files(folder.path()), ["store.id"]);
    let usage = destination.usage().await.expect("is asked").expect("is known");
    assert!(usage.available_bytes > 0 && usage.total_bytes >= usage.available_bytes);
}

#[tokio::test]
async fn a_copy_of_another_size_or_none_is_damaged() {
    let folder = tempfile::tempdir().expect("a folder");
    let destination = at(folder.path());
    let object = store(&destination, "a", &chunk(10_000)).await.expect("is stored");
    let file = fs::OpenOptions::new().write(true).open(folder.path().join(placed("a"))).expect("opens");
    file.set_len(9_999).expect("is cut");
    assert_eq!(destination.open(&object).await.err().expect("cut").code, FailureCode::CopyDamaged);
    fs::remove_file(folder.path().join(placed("a"))).expect("is removed");
    assert_eq!(destination.open(&object).await.err().expect("absent").code, FailureCode::CopyDamaged);
}

/// A file system of 1 MiB of memory; unmounted at the end. Needs root, as the test machine gives it.
struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(folder.path()).status();
        assert!(mounted.expect("mount runs").success(), "this test mounts a tmpfs: run it as root");
        Self(folder)
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.0.path()).status());
    }
}

#[tokio::test]
async fn a_full_disk_is_called_that_and_keeps_what_it_had() {
    let disk = Tmpfs::new();
    let destination = at(disk.0.path());
    let small = store(&destination, "small", &chunk(100_000)).await.expect("fits");
    assert_eq!(
        store(&destination, "large", &chunk(2_000_000)).await.expect_err("full").code,
        FailureCode::DestinationFull
    );
    assert_eq!(files(disk.0.path()), [placed("small"), "store.id".to_owned()]);
    assert!(destination.open(&small).await.is_ok());
    store(&destination, "small too", &chunk(100_000)).await.expect("fits again");
}

/// Runs the ignored test below under `strace`, with a call made to fail.
fn under_strace(root: &Path, inject: &str) -> Output {
    let this = std::env::current_exe().expect("a test binary");
    Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null", "-e", inject])
        .arg(this)
        .args(["--exact", "local::tests::store_one_object", "--ignored", "--nocapture"])
        .env("HOLDFAST_TEST_ROOT", root)
        .output()
        .expect("strace runs")
}

/// Not a test: what [`under_strace`] runs.
#[tokio::test]
#[ignore = "run by other tests"]
async fn store_one_object() {
    let Some(root) = std::env::var_os("HOLDFAST_TEST_ROOT") else { return };
    let mut longest_pause = Duration::ZERO;
    let watch = async {
        loop {
            let before = std::time::Instant::now();
            tokio::time::sleep(Duration::from_millis(10)).await;
            longest_pause = longest_pause.max(before.elapsed());
        }
    };
    let (destination, bytes) = (at(Path::new(&root)), chunk(100_000));
    let stored = tokio::select! {
        stored = store(&destination, "a", &bytes) => stored,
        () = watch => return,
    };
    match stored {
        Ok(_) => println!("STORED"),
        Err(failure) => println!("{:?}", failure.code),
    }
    println!("PAUSE {}", longest_pause.as_millis());
}

#[test]
fn a_disk_that_hangs_does_not_hold_the_runtime() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(at(folder.path()));
    let started = std::time::Instant::now();
    let output = under_strace(folder.path(), "inject=fsync:delay_enter=2s");
    assert!(started.elapsed() > Duration::from_secs(4), "both calls took 2 s");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let pause = said.lines().find_map(|line| line.strip_prefix("PAUSE ")).expect("it stored");
    let pause: u64 = pause.parse().expect("a number");
    assert!(said.contains("STORED") && pause < 1500, "{said}");
}

#[tokio::test]
async fn bytes_that_changed_on_the_disk_are_not_committed() {
    let folder = tempfile::tempdir().expect("a folder");
    let destination = at(folder.path());
    let mut sink = destination.put("a").await.expect("starts");
    sink.write(chunk(100_000)).await.expect("is taken");
    let part = folder.path().join(placed("a.part"));
    let arrived = async {
        while fs::metadata(&part).expect("is there").len() < 100_000 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), arrived).await.expect("it arrives");
    let file = fs::OpenOptions::new().write(true).open(&part).expect("opens");
    std::os::unix::fs::FileExt::write_all_at(&file, b"x", 50_000).expect("is changed");
    assert_eq!(sink.commit().await.expect_err("differs").code, FailureCode::VerifyFailed);
    assert_eq!(files(folder.path()), ["store.id"]);
}

#[tokio::test]
async fn folders_that_were_exchanged_meanwhile_do_not_count() {
    let folder = tempfile::tempdir().expect("a folder");
    let destination = at(folder.path());
    let mut sink = destination.put("a").await.expect("starts");
    sink.write(chunk(10)).await.expect("is taken");
    fs::rename(folder.path().join(TEAM.to_string()), folder.path().join("moved")).expect("is moved");
    sink.commit().await.expect_err("is elsewhere");
    assert_eq!(files(folder.path()), ["store.id"]);
}

#[tokio::test]
async fn a_commit_that_nobody_waits_for_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let destination = at(folder.path());
    let mut sink = destination.put("a").await.expect("starts");
    sink.write(chunk(5_000_000)).await.expect("is taken");
    assert!(tokio::time::timeout(Duration::ZERO, sink.commit()).await.is_err(), "it takes longer than that");
    let gone = async {
        while files(folder.path()) != ["store.id"] {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.expect("it goes");
}

#[test]
fn a_disk_call_that_fails_at_the_end_leaves_nothing_and_is_not_tried_again() {
    // Counted from the first: the root's id is there, and so are the folders.
    for (inject, seen) in [
        ("inject=fsync:error=EIO:when=100", "STORED"),
        ("inject=fsync:error=EIO:when=1", "DestinationFailed"),
        ("inject=fsync:error=EIO:when=2", "DestinationFailed"),
        ("inject=fsync:error=ENOSPC:when=1", "DestinationFull"),
        ("inject=renameat2:error=EIO:when=1", "DestinationFailed"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        drop(at(folder.path()));
        fs::create_dir_all(folder.path().join(placed(""))).expect("is made");
        let output = under_strace(folder.path(), inject);
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(seen), "{inject}: {said}");
        let kept =
            if seen == "STORED" { vec![placed("a"), "store.id".to_owned()] } else { vec!["store.id".to_owned()] };
        assert_eq!(files(folder.path()), kept, "{inject}");
    }
}

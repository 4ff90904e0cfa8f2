//! Restores to a real sshd, from a real database and disk: what comes back is what was stored, and what is not right
//! leaves the target as it was.

mod world;

use holdfast_domain::ids::RestoreId;
use holdfast_domain::source::EncryptionMode;
use holdfast_testbed::compare::{CompareOptions, compare};
use holdfast_testbed::fault_proxy::{Fault, FaultProxy, LinkPlan};
use holdfast_testbed::sshd::{Login, Sshd};
use holdfast_testbed::tree::{TreeSpec, generate};
use holdfast_vault::{SealContext, SealedColumn, Sealer};
use holdfast_worker::jobs::execute_restore::execute_restore;
use serde_json::{Value, json};
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use uuid::Uuid;
use world::{Stored, World, flip, insert_server, overwrite, tar_of};

/// A world with a server to restore to.
struct Target {
    world: World,
    sshd: Sshd,
    login: Login,
    server_id: i64,
    folder: TempDir,
}

/// How a restore ended.
#[derive(Debug, PartialEq, sqlx::FromRow)]
struct Row {
    status: String,
    error_code: Option<String>,
    error_message: Option<String>,
    warning_count: i64,
    progress: Value,
    process_terminated: Option<bool>,
    attempts: i32,
}

impl Target {
    /// Logs in as a user of its own, or as root.
    async fn new(as_root: bool) -> Self {
        let world = World::new().await;
        let sshd = Sshd::start().unwrap();
        let login = Login::create().unwrap();
        let name = if as_root { "root" } else { login.name() };
        sshd.authorize(name, &world.team.ssh_public).unwrap();
        let (team, user) = (world.team.id, world.team.user_id);
        let key = sshd.host_key().unwrap();
        let server_id = insert_server(&world.owner, team, user, ("127.0.0.1", sshd.port(), name), Some(&key)).await;
        let folder = tempfile::tempdir_in(login.home()).unwrap();
        login.give(folder.path()).unwrap();
        Self { world, sshd, login, server_id, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn is_empty(&self) -> bool {
        fs::read_dir(self.folder.path()).unwrap().next().is_none()
    }

    async fn queue(&self, stored: &Stored, spec: Value, password: Option<&str>) -> RestoreId {
        let seal_id = Uuid::new_v4();
        let sealer = Sealer::from_public_key(self.world.context.opener.public_key()).unwrap();
        let place = SealContext::new(self.world.team.id, SealedColumn::RestorePassword, seal_id);
        let sealed = password.map(|p| sealer.seal(&place, p.as_bytes(), &mut rand::rng()));
        let id: i64 = sqlx::query_scalar(
            "INSERT INTO restores (team_id, backup_id, remote_server_id, spec, seal_id, sealed_password) VALUES ($1, $2, $3, $4, $5, $6) RETURNING id",
        )
        .bind(self.world.team.id.0)
        .bind(stored.id.0)
        .bind(self.server_id)
        .bind(spec)
        .bind(seal_id)
        .bind(sealed)
        .fetch_one(&self.world.owner)
        .await
        .unwrap();
        RestoreId(id)
    }

    async fn row(&self, id: RestoreId) -> Row {
        sqlx::query_as("SELECT status, error_code, error_message, warning_count, progress, process_terminated, attempts FROM restores WHERE id = $1")
            .bind(id.0)
            .fetch_one(&self.world.owner)
            .await
            .unwrap()
    }

    /// One attempt.
    async fn restore(&self, stored: &Stored, spec: Value) -> Row {
        let id = self.queue(stored, spec, None).await;
        execute_restore(Arc::clone(&self.world.context), id).await;
        self.row(id).await
    }

    /// As [`Target::restore`], expected to end with that error and to leave the target's folder empty.
    async fn refused(&self, stored: &Stored, spec: Value, code: &str) -> Row {
        let row = self.restore(stored, spec).await;
        assert_eq!((row.status.as_str(), row.error_code.as_deref()), ("failed", Some(code)), "{row:?}");
        assert!(self.is_empty(), "something was left at the target");
        row
    }

    async fn through(&self, plan: LinkPlan) -> FaultProxy {
        let at: SocketAddr = ([127, 0, 0, 1], self.sshd.port()).into();
        let proxy = FaultProxy::start(at, plan).await.unwrap();
        sqlx::query("UPDATE remote_servers SET port = $2 WHERE id = $1")
            .bind(self.server_id)
            .bind(i32::from(proxy.port()))
            .execute(&self.world.owner)
            .await
            .unwrap();
        proxy
    }
}

/// A tar of `path` as a run reads it.
fn tar_tree(path: &Path) -> Vec<u8> {
    let out = Command::new("tar")
        .args(["--format=posix", "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime"])
        .args(["--numeric-owner", "--sort=name", "--xattrs", "--acls", "--one-file-system", "-C", "/", "-c", "-f", "-", "--"])
        .arg(path.strip_prefix("/").unwrap())
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    out.stdout
}

fn noise(size: usize) -> Vec<u8> {
    (0..size as u32 / 4 + 1).flat_map(|n| n.wrapping_mul(2_654_435_761).rotate_left(7).to_le_bytes()).take(size).collect()
}

async fn poll<F: Future<Output = bool>>(what: &str, mut until: impl FnMut() -> F) {
    for _ in 0..600 {
        if until().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never: {what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_comes_back_equal_to_the_last_attribute() {
    for as_root in [true, false] {
        let target = Target::new(as_root).await;
        let source = tempfile::tempdir().unwrap();
        let tree = source.path().join("tree");
        generate(&tree, &TreeSpec::small(1, as_root)).unwrap();
        let top = tree.to_str().unwrap();
        let stored = target.world.store(&tar_tree(&tree), EncryptionMode::Managed, top).await;
        let options = CompareOptions { owners: as_root };
        for layout in ["contents_only", "keep_path"] {
            let to = target.path(layout);
            let spec = json!({"path": to, "layout": layout, "restore_owners": as_root});
            let row = target.restore(&stored, spec).await;
            assert!(row.status.starts_with("succeeded"), "{row:?}");
            assert_eq!(row.progress["original_size"], stored.manifest.streams[0].original.size_bytes);
            let placed = if layout == "keep_path" { to.join(tree.strip_prefix("/").unwrap()) } else { to };
            let compared = compare(&tree, &placed, &options).unwrap();
            assert!(compared.is_equal() && compared.entries > 300, "as root {as_root}, {layout}: {compared}");
        }
        assert_eq!(fs::read_dir(target.folder.path()).unwrap().count(), 2, "a staging folder was left");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn selected_paths_come_back_and_nothing_else() {
    let target = Target::new(false).await;
    let big = noise(6 << 20);
    let tar = tar_of(&[("srv/a/one", b"1"), ("srv/a/two", b"2"), ("srv/b/big", &big), ("srv/c", b"c")]);
    let stored = target.world.store(&tar, EncryptionMode::Managed, "/srv").await;
    let to = target.path("new");
    let row = target.restore(&stored, json!({"path": to, "paths": ["/srv/b", "/srv/a/two"]})).await;
    assert_eq!(row.status, "succeeded", "{row:?}");
    assert_eq!(fs::read(to.join("srv/b/big")).unwrap(), big);
    assert_eq!(fs::read(to.join("srv/a/two")).unwrap(), b"2");
    assert!(!to.join("srv/a/one").exists() && !to.join("srv/c").exists());
    let absent = json!({"path": target.path("other"), "paths": ["/srv/nothing"]});
    let row = target.restore(&stored, absent).await;
    assert_eq!(row.error_code.as_deref(), Some("path_not_in_backup"), "{row:?}");
    assert!(!target.path("other").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_exists_is_refused_kept_or_replaced_as_asked() {
    let target = Target::new(false).await;
    let stored = target.world.store(&tar_of(&[("srv/a", b"new"), ("srv/b", b"new")]), EncryptionMode::Managed, "/srv").await;
    let to = target.path("there");
    fs::create_dir(&to).unwrap();
    fs::write(to.join("a"), b"old").unwrap();
    fs::write(to.join("own"), b"own").unwrap();
    target.login.give(&to).unwrap();
    let spec = |existing: &str| json!({"path": to, "layout": "contents_only", "existing": existing});
    let content = |name: &str| fs::read_to_string(to.join(name)).ok();

    let row = target.restore(&stored, spec("refuse")).await;
    assert_eq!(row.error_code.as_deref(), Some("target_exists"), "{row:?}");
    assert_eq!((content("a").as_deref(), content("b")), (Some("old"), None));
    let row = target.restore(&stored, spec("skip")).await;
    assert!(row.status.starts_with("succeeded"), "{row:?}");
    assert_eq!((content("a").as_deref(), content("b").as_deref()), (Some("old"), Some("new")));
    let row = target.restore(&stored, spec("overwrite")).await;
    assert!(row.status.starts_with("succeeded"), "{row:?}");
    assert_eq!((content("a").as_deref(), content("own").as_deref()), (Some("new"), Some("own")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_does_everything_and_leaves_nothing() {
    let target = Target::new(false).await;
    let stored = target.world.store(&tar_of(&[("srv/a", b"a")]), EncryptionMode::Managed, "/srv").await;
    let row = target.restore(&stored, json!({"path": target.path("new"), "dry_run": true})).await;
    assert_eq!(row.status, "succeeded", "{row:?}");
    assert!(target.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_opens_its_backup_and_a_wrong_one_does_nothing() {
    let target = Target::new(false).await;
    let stored = target.world.store(&tar_of(&[("srv/a", b"a")]), EncryptionMode::Password, "/srv").await;
    let spec = |name: &str| json!({"path": target.path(name)});
    let id = target.queue(&stored, spec("no"), Some("incorrect horse")).await;
    execute_restore(Arc::clone(&target.world.context), id).await;
    assert_eq!(target.row(id).await.error_code.as_deref(), Some("wrong_password"));
    assert!(target.is_empty());
    assert_eq!(target.sshd.auth_attempts(), 0, "the server was bothered with a wrong password");
    let id = target.queue(&stored, spec("given"), Some(world::PASSWORD)).await;
    execute_restore(Arc::clone(&target.world.context), id).await;
    assert_eq!(target.row(id).await.status, "succeeded");
    assert_eq!(target.restore(&stored, spec("from-the-task")).await.status, "succeeded");
    assert_eq!(fs::read(target.path("from-the-task").join("srv/a")).unwrap(), b"a");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_copy_touches_nothing_and_the_other_copy_is_used() {
    let target = Target::new(false).await;
    let big = noise(9 << 20);
    let tar = tar_of(&[("srv/big", &big), ("srv/z", b"z")]);
    let stored = target.world.store(&tar, EncryptionMode::Managed, "/srv").await;
    flip(&stored.streams[0]);
    let row = target.restore(&stored, json!({"path": target.path("new")})).await;
    assert_eq!(row.status, "succeeded", "{row:?}");
    assert_eq!(fs::read(target.path("new").join("srv/big")).unwrap(), big);
    let noted: Vec<Option<String>> =
        sqlx::query_scalar("SELECT error_code FROM backup_copies WHERE backup_id = $1 ORDER BY id")
            .bind(stored.id.0)
            .fetch_all(&target.world.owner)
            .await
            .unwrap();
    assert_eq!(noted, [Some("copy_damaged".to_owned()), None]);
    fs::remove_dir_all(target.path("new")).unwrap();

    flip(&stored.streams[1]);
    target.refused(&stored, json!({"path": target.path("new")}), "copy_damaged").await;
    for path in &stored.streams {
        overwrite(path, &stored.bytes[..stored.bytes.len() / 2]);
    }
    target.refused(&stored, json!({"path": target.path("new")}), "copy_damaged").await;
    for path in &stored.streams {
        fs::remove_file(path).unwrap();
    }
    target.refused(&stored, json!({"path": target.path("new")}), "copy_damaged").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_only_others_can_read_is_not_tried() {
    let target = Target::new(false).await;
    let stored = target.world.store(&tar_of(&[("srv/a", b"a")]), EncryptionMode::Recipients, "/srv").await;
    target.refused(&stored, json!({"path": target.path("new")}), "recipients_only").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_host_key_is_refused_before_anything_is_offered() {
    let mut target = Target::new(false).await;
    let stored = target.world.store(&tar_of(&[("srv/a", b"a")]), EncryptionMode::Managed, "/srv").await;
    target.sshd.swap_host_key().unwrap();
    target.refused(&stored, json!({"path": target.path("new")}), "host_key_changed").await;
    assert_eq!(target.sshd.auth_attempts(), 0);
    let pending: Option<String> = sqlx::query_scalar("SELECT pending_host_key FROM remote_servers WHERE id = $1")
        .bind(target.server_id)
        .fetch_one(&target.world.owner)
        .await
        .unwrap();
    assert_eq!(pending, Some(target.sshd.host_key().unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_link_is_tried_again_and_leaves_nothing_of_the_first_try() {
    let target = Target::new(false).await;
    let big = noise(3 << 20);
    let stored = target.world.store(&tar_of(&[("srv/big", &big)]), EncryptionMode::Managed, "/srv").await;
    let plan = LinkPlan { fault: Fault::Rst, after_bytes: 1 << 20, connections: 1, ..LinkPlan::default() };
    let proxy = target.through(plan).await;
    let id = target.queue(&stored, json!({"path": target.path("new")}), None).await;
    execute_restore(Arc::clone(&target.world.context), id).await;
    let row = target.row(id).await;
    assert_eq!((row.status.as_str(), row.attempts), ("queued", 1), "{row:?}");
    poll("the staging folder of the cut attempt is removed", || async { target.is_empty() }).await;
    poll("the next attempt is due", || async {
        execute_restore(Arc::clone(&target.world.context), id).await;
        target.row(id).await.status != "queued"
    })
    .await;
    let row = target.row(id).await;
    assert_eq!((row.status.as_str(), row.attempts), ("succeeded", 2), "{row:?}");
    assert_eq!(fs::read(target.path("new").join("srv/big")).unwrap(), big);
    assert!(proxy.connections() >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_restore_leaves_nothing_there() {
    let target = Target::new(false).await;
    let stored = target.world.store(&tar_of(&[("srv/big", &noise(20 << 20))]), EncryptionMode::Managed, "/srv").await;
    let _proxy = target.through(LinkPlan { bytes_per_second: 1 << 20, ..LinkPlan::default() }).await;
    let id = target.queue(&stored, json!({"path": target.path("new")}), None).await;
    let running = tokio::spawn(execute_restore(Arc::clone(&target.world.context), id));
    poll("bytes arrive", || async { target.row(id).await.progress["original_size"].as_u64() > Some(0) }).await;
    sqlx::query("UPDATE restores SET cancel_requested_at = now() WHERE id = $1")
        .bind(id.0)
        .execute(&target.world.owner)
        .await
        .unwrap();
    tokio::time::timeout(Duration::from_secs(15), running).await.expect("cancel took too long").unwrap();
    let row = target.row(id).await;
    assert_eq!((row.status.as_str(), row.process_terminated), ("cancelled", Some(true)), "{row:?}");
    poll("everything is removed there", || async { target.is_empty() }).await;
    assert_eq!(target.login.processes().unwrap(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_lost_its_lease_writes_nothing_anywhere() {
    let target = Target::new(false).await;
    let stored = target.world.store(&tar_of(&[("srv/big", &noise(20 << 20))]), EncryptionMode::Managed, "/srv").await;
    let _proxy = target.through(LinkPlan { bytes_per_second: 1 << 20, ..LinkPlan::default() }).await;
    let id = target.queue(&stored, json!({"path": target.path("new")}), None).await;
    let running = tokio::spawn(execute_restore(Arc::clone(&target.world.context), id));
    poll("bytes arrive", || async { target.row(id).await.progress["original_size"].as_u64() > Some(0) }).await;
    sqlx::query("UPDATE restores SET epoch = epoch + 1, owner = 'other' WHERE id = $1")
        .bind(id.0)
        .execute(&target.world.owner)
        .await
        .unwrap();
    tokio::time::timeout(Duration::from_secs(15), running).await.expect("the loser went on").unwrap();
    assert_eq!(target.row(id).await.status, "running", "the loser wrote the winner's row");
    poll("everything is removed there", || async { target.is_empty() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivered_twice_restore_runs_once() {
    let target = Target::new(false).await;
    let stored = target.world.store(&tar_of(&[("srv/a", b"a")]), EncryptionMode::Managed, "/srv").await;
    let id = target.queue(&stored, json!({"path": target.path("new")}), None).await;
    let run = || execute_restore(Arc::clone(&target.world.context), id);
    tokio::join!(run(), run(), run());
    let row = target.row(id).await;
    assert_eq!((row.status.as_str(), row.attempts), ("succeeded", 1), "{row:?}");
}

/// One entry with exactly these bytes as its name, whatever a sane writer would say to them.
struct Hostile {
    name: &'static str,
    kind: tar::EntryType,
    mode: u32,
    link: String,
    content: &'static [u8],
}

fn hostile(name: &'static str, kind: tar::EntryType, link: &str, content: &'static [u8]) -> Hostile {
    Hostile { name, kind, mode: 0o755, link: link.to_owned(), content }
}

fn hostile_tar(entries: &[Hostile]) -> Vec<u8> {
    let mut out = Vec::new();
    for entry in entries {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(entry.kind);
        header.set_mode(entry.mode);
        header.set_size(entry.content.len() as u64);
        header.as_mut_bytes()[..entry.name.len()].copy_from_slice(entry.name.as_bytes());
        header.as_mut_bytes()[157..157 + entry.link.len()].copy_from_slice(entry.link.as_bytes());
        if matches!(entry.kind, tar::EntryType::Char | tar::EntryType::Block) {
            header.set_device_major(1).unwrap();
            header.set_device_minor(3).unwrap();
        }
        header.set_cksum();
        out.extend_from_slice(header.as_bytes());
        out.extend_from_slice(entry.content);
        out.resize(out.len().div_ceil(512) * 512, 0);
    }
    out.resize(out.len() + 1024, 0);
    out
}

fn everything_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if fs::symlink_metadata(&path).unwrap().is_dir() {
                open.push(path.clone());
            }
            found.push(path);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_archive_changes_nothing_outside_its_target() {
    use tar::EntryType as E;
    let target = Target::new(true).await;
    let outside = target.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("canary"), b"untouched").unwrap();
    let canary = outside.join("canary");
    let (canary, folder) = (canary.to_str().unwrap().to_owned(), outside.to_str().unwrap().to_owned());
    let absolute: &'static str = canary.clone().leak();
    let mut setuid = hostile("srv/suid", E::Regular, "", b"x");
    setuid.mode = 0o6755;
    let archives: Vec<(&str, Vec<Hostile>)> = vec![
        ("dots", vec![hostile("../outside/canary", E::Regular, "", b"evil"), hostile("srv/../../outside/canary", E::Regular, "", b"evil")]),
        ("absolute", vec![hostile(absolute, E::Regular, "", b"evil")]),
        ("symlink", vec![hostile("srv/out", E::Symlink, &folder, b""), hostile("srv/out/canary", E::Regular, "", b"evil"), hostile("srv/out/more", E::Regular, "", b"evil")]),
        ("symlink-as-file", vec![hostile("srv/f", E::Symlink, &canary, b""), hostile("srv/f", E::Regular, "", b"evil")]),
        ("hardlink", vec![hostile("srv/hard", E::Link, &canary, b""), hostile("srv/hard", E::Regular, "", b"evil")]),
        ("hardlink-dots", vec![hostile("srv/hard", E::Link, "../../outside/canary", b"")]),
        ("setuid", vec![setuid]),
        ("devices", vec![hostile("srv/null", E::Char, "", b""), hostile("srv/disk", E::Block, "", b"")]),
    ];
    for (name, entries) in archives {
        let stored = target.world.store(&hostile_tar(&entries), EncryptionMode::Managed, "/srv").await;
        for (layout, owners) in [("keep_path", false), ("contents_only", true)] {
            let to = target.path(&format!("{name}-{layout}"));
            let row = target.restore(&stored, json!({"path": to, "layout": layout, "restore_owners": owners})).await;
            assert!(!matches!(row.status.as_str(), "queued" | "running"), "{name}: {row:?}");
            assert_eq!(fs::read(outside.join("canary")).unwrap(), b"untouched", "{name}, {layout}: {row:?}");
            assert_eq!(fs::read_dir(&outside).unwrap().count(), 1, "{name}, {layout}: something was put outside");
            for path in everything_below(target.folder.path()) {
                let meta = fs::symlink_metadata(&path).unwrap();
                let kind = meta.file_type();
                assert!(!kind.is_char_device() && !kind.is_block_device(), "{name}: {path:?} is a device");
                assert!(kind.is_symlink() || meta.mode() & 0o6000 == 0 || kind.is_dir(), "{name}: {path:?} is setuid");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_waits_in_the_target_leads_nowhere() {
    let target = Target::new(true).await;
    let outside = target.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("canary"), b"untouched").unwrap();
    let to = target.path("there");
    fs::create_dir(&to).unwrap();
    std::os::unix::fs::symlink(&outside, to.join("sub")).unwrap();
    let tar = tar_of(&[("srv/sub/canary", b"evil"), ("srv/sub/more", b"evil")]);
    let stored = target.world.store(&tar, EncryptionMode::Managed, "/srv").await;
    for existing in ["overwrite", "skip"] {
        let spec = json!({"path": to, "layout": "contents_only", "existing": existing});
        let row = target.restore(&stored, spec).await;
        assert_eq!(fs::read(outside.join("canary")).unwrap(), b"untouched", "{existing}: {row:?}");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1, "{existing}: {row:?}");
    }
}

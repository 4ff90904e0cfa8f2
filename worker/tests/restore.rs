//! Restores to a real sshd, from a real database and disk: what comes back is what was stored, and what is not right
//! leaves the target as it was.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod world;

use holdfast_domain::source::EncryptionMode;
use holdfast_testbed::compare::{CompareOptions, compare};
use holdfast_testbed::fault_proxy::{Fault, LinkPlan};
use holdfast_testbed::tree::{TreeSpec, generate};
use holdfast_worker::jobs::execute_restore::execute_restore;
use serde_json::json;
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use world::target::{Target, noise, poll, tar_tree};
use world::{flip, overwrite, tar_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_comes_back_equal_to_the_last_attribute() {
    for as_root in [true, false] {
        let target = Target::new(as_root).await;
        let source = tempfile::tempdir().unwrap();
        let tree = source.path().join("tree");
        generate(&tree, &TreeSpec::small(1, as_root)).unwrap();
        if !as_root {
            // See `attributes_of_read_only_files_need_root`.
            let writable = ["-type", "f", "!", "-perm", "-200", "-exec", "chmod", "u+w", "{}", "+"];
            assert!(Command::new("find").arg(&tree).args(writable).status().unwrap().success());
        }
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

/// GNU tar 1.34 makes a file that has attributes with its final mode and then cannot write to it unless it is root. What
/// counts here: it is called what it is, and nothing is put into place.
#[tokio::test(flavor = "multi_thread")]
async fn attributes_of_read_only_files_need_root() {
    let target = Target::new(false).await;
    let source = tempfile::tempdir().unwrap();
    let file = source.path().join("file");
    fs::write(&file, b"content").unwrap();
    let attribute = Command::new("setfattr").args(["-n", "user.x", "-v", "y"]).arg(&file).status();
    if !attribute.is_ok_and(|status| status.success()) {
        return;
    }
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o444)).unwrap();
    let top = source.path().to_str().unwrap();
    let stored = target.world.store(&tar_tree(source.path()), EncryptionMode::Managed, top).await;
    let row = target.restore(&stored, json!({"path": target.path("new")})).await;
    if row.status == "failed" {
        assert_eq!(row.error_code.as_deref(), Some("restore_incomplete"), "{row:?}");
        assert!(row.error_message.unwrap().contains("Cannot open"));
        assert!(target.is_empty());
    } else {
        let placed = target.path("new").join(file.strip_prefix("/").unwrap());
        assert_eq!(fs::read(placed).unwrap(), b"content");
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
    let stored =
        target.world.store(&tar_of(&[("srv/a", b"new"), ("srv/b", b"new")]), EncryptionMode::Managed, "/srv").await;
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
    // The looking connection's own sshd ends a moment after it.
    poll("nothing runs there", || async { target.login.processes().unwrap().is_empty() }).await;
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

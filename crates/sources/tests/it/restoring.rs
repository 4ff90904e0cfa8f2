//! What comes back, and where.

use crate::support::{Bench, assert_no_staging, restore, spec, target};
use holdfast_domain::FailureCode;
use holdfast_domain::restore::{ExistingPolicy, RestoreLayout};
use holdfast_domain::warning::WarningCode;
use holdfast_sources::files_restore::RestoreTarget;
use holdfast_testbed::compare::{CompareOptions, compare};
use holdfast_testbed::sshd::Login;
use holdfast_testbed::tree::{TreeSpec, generate};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::Path;

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[tokio::test]
async fn a_tree_comes_back_equal_as_a_user_and_with_owners_as_root() {
    for (user, owners) in [(None, false), (Some("root"), true)] {
        let bench = Bench::new();
        let user = user.unwrap_or(bench.login.name()).to_owned();
        let root = bench.login.home().join("tree");
        let made = generate(&root, &TreeSpec { fifo: true, ..TreeSpec::small(11, owners) }).unwrap();
        if !owners {
            bench.login.give(&root).unwrap();
        }
        let reader = holdfast_sources::files::open(bench.session_as(&user).await, &spec(&[&root], &[])).await.unwrap();
        let (tar, _) = crate::support::read_all(reader).await.unwrap();
        let back = bench.login.home().join("back");
        let target =
            RestoreTarget { restore_owners: owners, expected_entries: Some(made.entries() + 1), ..target(&back) };
        let report = restore(bench.session_as(&user).await, &target, &tar).await.unwrap();
        assert!(report.warnings.is_empty(), "{report:?}");
        assert!(report.files >= made.files, "each name of a hard link is one: {report:?}");
        let restored = back.join(root.strip_prefix("/").unwrap());
        let found = compare(&root, &restored, &CompareOptions { owners }).unwrap();
        assert!(found.is_equal(), "{user}: {found:#?}");
        assert_no_staging(bench.login.home());
    }
}

#[tokio::test]
async fn layouts_put_things_where_they_say() {
    let bench = Bench::new();
    let root = bench.tree("www", &[("a", "1"), ("sub/b", "2")]);
    let other = bench.tree("other", &[("c", "3")]);
    std::fs::set_permissions(&root, PermissionsExt::from_mode(0o555)).unwrap();
    let (tar, _) = bench.read(&spec(&[&root, &other.join("c")], &[])).await.unwrap();
    let home = bench.login.home();
    let contents = |tops: &[&Path], path: &str| RestoreTarget {
        layout: RestoreLayout::ContentsOnly,
        top_paths: tops.iter().map(|p| p.display().to_string()).collect(),
        ..target(&home.join(path))
    };
    restore(bench.session().await, &contents(&[&root, &other.join("c")], "both"), &tar).await.unwrap();
    assert_eq!(
        [text(&home.join("both/a")), text(&home.join("both/sub/b")), text(&home.join("both/c"))],
        ["1", "2", "3"]
    );

    let (tar, _) = bench.read(&spec(&[&root], &[])).await.unwrap();
    restore(bench.session().await, &contents(&[&root], "new/deep/one"), &tar).await.unwrap();
    assert_eq!(text(&home.join("new/deep/one/sub/b")), "2");
    assert_eq!(std::fs::metadata(home.join("new/deep/one")).unwrap().mode() & 0o7777, 0o555);
    assert_eq!(
        std::fs::metadata(home.join("new/deep/one")).unwrap().mtime(),
        std::fs::metadata(&root).unwrap().mtime()
    );
    let unmeant = restore(bench.session().await, &contents(&[&other], "none"), &tar).await.unwrap_err();
    assert_eq!(unmeant.code, FailureCode::RestoreIncomplete, "{unmeant}");
    assert!(!home.join("none").exists());

    restore(bench.session().await, &target(&home.join("kept")), &tar).await.unwrap();
    assert_eq!(text(&home.join("kept").join(root.strip_prefix("/").unwrap()).join("a")), "1");
    let dry = RestoreTarget { dry_run: true, ..target(&home.join("dry")) };
    assert_eq!(restore(bench.session().await, &dry, &tar).await.unwrap().files, 2);
    assert!(!home.join("dry").exists());
    assert_no_staging(home);
    std::fs::set_permissions(&root, PermissionsExt::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn what_exists_is_refused_skipped_or_replaced_as_asked() {
    let bench = Bench::new();
    let root = bench.tree("src", &[("a", "new"), ("sub/b", "new"), ("sub/more/c", "new")]);
    let (tar, _) = bench.read(&spec(&[&root], &[])).await.unwrap();
    let into = |path: &Path, existing| RestoreTarget {
        existing,
        layout: RestoreLayout::ContentsOnly,
        top_paths: vec![root.display().to_string()],
        ..target(path)
    };
    let old = bench.tree("old", &[("a", "old"), ("sub/b", "old"), ("mine", "old")]);
    let refused = restore(bench.session().await, &into(&old, ExistingPolicy::Refuse), &tar).await.unwrap_err();
    assert_eq!(refused.code, FailureCode::TargetExists, "{refused}");
    assert_eq!(text(&old.join("a")), "old");

    let report = restore(bench.session().await, &into(&old, ExistingPolicy::Skip), &tar).await.unwrap();
    assert_eq!(report.skipped, 2, "{report:?}");
    assert_eq!([text(&old.join("a")), text(&old.join("sub/b")), text(&old.join("sub/more/c"))], ["old", "old", "new"]);

    restore(bench.session().await, &into(&old, ExistingPolicy::Overwrite), &tar).await.unwrap();
    assert_eq!([text(&old.join("a")), text(&old.join("sub/b")), text(&old.join("mine"))], ["new", "new", "old"]);

    let empty = bench.tree("empty", &[]);
    restore(bench.session().await, &into(&empty, ExistingPolicy::Refuse), &tar).await.unwrap();
    assert_eq!(text(&empty.join("sub/more/c")), "new");
    for dir in [bench.login.home(), &old, &empty] {
        assert_no_staging(dir);
    }
}

#[tokio::test]
async fn a_link_in_the_way_is_refused_and_nothing_behind_it_changes() {
    let bench = Bench::new();
    let root = bench.tree("src", &[("a", "new"), ("sub/b", "new")]);
    let (tar, _) = bench.read(&spec(&[&root], &[])).await.unwrap();
    let outside = bench.tree("outside", &[("b", "untouched"), ("a", "untouched")]);
    let old = bench.tree("old", &[("x", "")]);
    std::os::unix::fs::symlink(&outside, old.join("sub")).unwrap();
    std::os::unix::fs::symlink(outside.join("a"), old.join("a")).unwrap();
    let link = bench.login.home().join("link");
    std::os::unix::fs::symlink(&outside, &link).unwrap();
    let into = |path: &Path| RestoreTarget {
        existing: ExistingPolicy::Overwrite,
        layout: RestoreLayout::ContentsOnly,
        top_paths: vec![root.display().to_string()],
        ..target(path)
    };
    for path in [old.clone(), link.clone(), link.join("new")] {
        let refused = restore(bench.session().await, &into(&path), &tar).await.unwrap_err();
        assert_eq!(refused.code, FailureCode::TargetUnwritable, "{}: {refused}", path.display());
    }
    // A link in a file's place is replaced itself.
    std::fs::remove_file(old.join("sub")).unwrap();
    restore(bench.session().await, &into(&old), &tar).await.unwrap();
    assert_eq!(text(&old.join("a")), "new");
    assert_eq!([text(&outside.join("a")), text(&outside.join("b"))], ["untouched", "untouched"]);
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 2);
    assert_no_staging(bench.login.home());
}

#[tokio::test]
async fn devices_and_set_user_id_do_not_come_back() {
    let bench = Bench::new();
    let root = bench.tree("src", &[("suid", "#!"), ("plain", "x")]);
    std::fs::set_permissions(root.join("suid"), PermissionsExt::from_mode(0o6755)).unwrap();
    let made = std::process::Command::new("mknod").arg(root.join("null")).args(["c", "1", "3"]).status().unwrap();
    let reader = holdfast_sources::files::open(bench.session_as("root").await, &spec(&[&root], &[])).await.unwrap();
    let (tar, _) = crate::support::read_all(reader).await.unwrap();
    for user in ["root", bench.login.name()] {
        let back = bench.login.home().join(format!("back-{user}"));
        let into = RestoreTarget { restore_owners: true, ..target(&back) };
        let report = restore(bench.session_as(user).await, &into, &tar).await.unwrap();
        let restored = back.join(root.strip_prefix("/").unwrap());
        assert_eq!(std::fs::metadata(restored.join("suid")).unwrap().mode() & 0o7777, 0o755);
        assert!(!made.success() || !restored.join("null").exists());
        assert_eq!(text(&restored.join("plain")), "x");
        assert!(report.warnings.kept.iter().any(|w| w.code == WarningCode::Defused), "{user}: {report:?}");
        assert_eq!(report.warnings.kept.iter().any(|w| w.message.contains("not root")), user != "root", "{report:?}");
    }
}

#[tokio::test]
async fn hostile_targets_and_every_login_shell_round_trip() {
    for shell in ["/bin/dash", "/bin/bash", "/usr/bin/fish", "/usr/bin/tcsh"] {
        let bench = Bench::with("", Login::create_with(shell, None).unwrap());
        let root = bench.tree(
            "$(touch pwn) `touch pwn`",
            &[("a\nb'\"\\", "1"), ("--checkpoint-action=exec=touch pwn", "2"), (" ü*", "3")],
        );
        let (tar, report) = bench.read(&spec(&[&root], &["*.nothing"])).await.unwrap();
        assert!(report.warnings.is_empty(), "{shell}: {report:?}");
        let back = bench.login.home().join("-rf 'ba\"ck\n$(touch pwn)`touch pwn`\\");
        let into = RestoreTarget {
            layout: RestoreLayout::ContentsOnly,
            top_paths: vec![root.display().to_string()],
            expected_entries: Some(4),
            ..target(&back)
        };
        restore(bench.session().await, &into, &tar).await.unwrap();
        let found = compare(&root, &back, &CompareOptions { owners: true }).unwrap();
        assert!(found.is_equal(), "{shell}: {found:#?}");
        assert!(!bench.login.home().join("pwn").exists(), "{shell}");
    }
}

//! Restores of what no honest source would send (security.md S61), as root: nothing outside the target changes.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod world;

use holdfast_domain::source::EncryptionMode;
use serde_json::json;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use world::tar_of;
use world::target::Target;

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
        (
            "dots",
            vec![
                hostile("../outside/canary", E::Regular, "", b"evil"),
                hostile("srv/../../outside/canary", E::Regular, "", b"evil"),
            ],
        ),
        ("absolute", vec![hostile(absolute, E::Regular, "", b"evil")]),
        (
            "symlink",
            vec![
                hostile("srv/out", E::Symlink, &folder, b""),
                hostile("srv/out/canary", E::Regular, "", b"evil"),
                hostile("srv/out/more", E::Regular, "", b"evil"),
            ],
        ),
        (
            "symlink-as-file",
            vec![hostile("srv/f", E::Symlink, &canary, b""), hostile("srv/f", E::Regular, "", b"evil")],
        ),
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

//! The rules of the workspace that the compiler does not know: who may import whom, what a manifest may say, what a file
//! looks like, and that a migration never changes after it landed.

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Who may import whom (without dev-dependencies). An arrow that is not here needs a reason, and a line.
const ARROWS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("entity", &[]),
    ("migration", &[]),
    ("config", &[]),
    ("vault", &["domain"]),
    ("egress", &[]),
    ("store", &["domain", "entity", "vault"]),
    ("remote", &["domain", "egress"]),
    ("pipeline", &["domain"]),
    ("notify", &["domain", "egress"]),
    ("sources", &["domain", "remote"]),
    ("destinations", &["domain", "egress", "pipeline"]),
    ("api", &["config", "domain", "store", "vault"]),
    (
        "worker",
        &["config", "destinations", "domain", "egress", "notify", "pipeline", "remote", "sources", "store", "vault"],
    ),
    ("testbed", &["migration"]),
    ("holdfast", &["api", "config", "domain", "migration", "store", "testbed", "vault", "worker"]),
];

/// What reaches an address that a tenant chose, or opens a tenant's data; the api reaches none of it, by any way.
const NOT_FOR_THE_API: &[&str] =
    &["destinations", "egress", "notify", "pipeline", "remote", "sources", "testbed", "worker"];

/// Of code; tests after it are not counted.
const CODE_LINES_MAX: usize = 400;
/// Of a file that holds only tests.
const TEST_LINES_MAX: usize = 500;
const MAIN_LINES_MAX: usize = 40;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in the workspace").to_owned()
}

fn metadata() -> Metadata {
    let mut command = MetadataCommand::new();
    command.manifest_path(root().join("Cargo.toml")).no_deps().other_options(["--offline".to_owned()]);
    command.exec().expect("cargo metadata")
}

fn short(name: &str) -> &str {
    name.strip_prefix("holdfast-").unwrap_or(name)
}

/// The crates of ours that `package` imports outside its tests.
fn imports(package: &Package, ours: &BTreeSet<&str>) -> BTreeSet<String> {
    let counts = package.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Development);
    counts.filter(|d| ours.contains(d.name.as_str())).map(|d| short(&d.name).to_owned()).collect()
}

fn graph() -> BTreeMap<String, BTreeSet<String>> {
    let metadata = metadata();
    let ours: BTreeSet<&str> = metadata.packages.iter().map(|package| package.name.as_str()).collect();
    metadata.packages.iter().map(|package| (short(&package.name).to_owned(), imports(package, &ours))).collect()
}

#[test]
fn imports_point_one_way() {
    let mut wrong = Vec::new();
    for (name, imports) in graph() {
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == name) else {
            wrong.push(format!("{name} has no line in the table of this test"));
            continue;
        };
        wrong.extend(imports.iter().filter(|i| !allowed.contains(&i.as_str())).map(|i| format!("{name} → {i}")));
    }
    assert!(wrong.is_empty(), "imports that ARCHITECTURE.md does not allow: {wrong:#?}");
}

#[test]
fn the_api_reaches_no_tenant_server_and_no_tenant_data() {
    let graph = graph();
    let mut reached = BTreeSet::new();
    let mut waiting = vec!["api".to_owned()];
    while let Some(name) = waiting.pop() {
        if reached.insert(name.clone()) {
            waiting.extend(graph[&name].iter().cloned());
        }
    }
    let wrong: Vec<_> = NOT_FOR_THE_API.iter().filter(|name| reached.contains(**name)).collect();
    assert!(wrong.is_empty(), "the api reaches {wrong:?}");
}

#[test]
fn only_the_store_knows_the_rows() {
    let importers: Vec<_> = graph().into_iter().filter(|(_, imports)| imports.contains("entity")).collect();
    assert_eq!(importers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["store"]);
}

/// Versions and features stand in one place, each with its purpose; a feature set in one crate would rebuild everything.
#[test]
fn dependencies_stand_once_with_their_purpose() {
    let text = std::fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml");
    let (_, rest) = text.split_once("[workspace.dependencies]").expect("the section");
    let section = rest.split("\n[").next().expect("its lines");
    let is_bare = |line: &&str| line.contains('=') && !line.contains("path = ") && !line.contains(" # ");
    let bare: Vec<_> = section.lines().filter(is_bare).collect();
    assert!(bare.is_empty(), "dependencies without a comment of purpose: {bare:#?}");
    let mut unused: BTreeSet<&str> =
        section.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name).collect();
    let packages = metadata().packages;
    for package in &packages {
        let manifest = std::fs::read_to_string(&package.manifest_path).expect("a manifest");
        let manifest: toml::Table = manifest.parse().expect("TOML");
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let entries = manifest.get(section).and_then(toml::Value::as_table).into_iter().flatten();
            for (name, entry) in entries {
                unused.remove(name.as_str());
                let table = entry.as_table().filter(|t| t.len() == 1 && t.contains_key("workspace"));
                assert!(table.is_some(), "{}: `{name}` must be `{name}.workspace = true`", package.name);
            }
        }
        let inherits = manifest.get("lints").and_then(|lints| lints.get("workspace"));
        assert_eq!(inherits, Some(&toml::Value::Boolean(true)), "{} has its own lints", package.name);
    }
    assert!(unused.is_empty(), "nobody uses {unused:?}");
}

fn rust_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> =
        metadata().packages.iter().map(|p| p.manifest_path.with_file_name("").into()).collect();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

#[test]
fn a_file_says_what_it_is_for_and_is_short() {
    let mut wrong = Vec::new();
    for path in rust_files() {
        let text = std::fs::read_to_string(&path).expect("a source file");
        let path = path.strip_prefix(root()).expect("a file of the workspace");
        let is_test = path.components().any(|part| part.as_os_str() == "tests")
            || path.file_stem().and_then(|stem| stem.to_str()).is_some_and(|stem| stem.ends_with("tests"));
        let code = text.split("\n#[cfg(test)]").next().expect("the code").lines().count();
        let (lines, limit) = if is_test { (text.lines().count(), TEST_LINES_MAX) } else { (code, CODE_LINES_MAX) };
        let name = path.display();
        if lines > limit {
            wrong.push(format!("{name}: {lines} lines, at most {limit}"));
        }
        if !is_test && !text.starts_with("//!") {
            wrong.push(format!("{name}: does not begin with what it is for (`//! …`)"));
        }
        let marker = ["TO", "DO"].concat();
        if text.contains(&marker) || text.contains("FIXME") && !path.ends_with("tidy.rs") {
            wrong.push(format!("{name}: promises something for later"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let main = std::fs::read_to_string(root().join("holdfast/src/main.rs")).expect("main.rs");
    assert!(main.lines().count() <= MAIN_LINES_MAX, "main.rs is a table of contents");
}

/// `HOLDFAST_BLESS=1` adds the hash of a new migration; it never changes one.
#[test]
fn a_migration_that_landed_is_never_edited() {
    let list = root().join("migration/landed.sha256");
    let known = std::fs::read_to_string(&list).unwrap_or_default();
    let known: BTreeMap<&str, &str> = known.lines().filter_map(|l| l.split_once("  ")).map(|(h, n)| (n, h)).collect();
    let mut new = String::new();
    let folder = root().join("migration/src/sql");
    let mut files: Vec<_> = std::fs::read_dir(&folder).expect("migrations").flatten().map(|e| e.file_name()).collect();
    files.sort();
    for name in &files {
        let name = name.to_str().expect("a plain name");
        let hash = hex::encode(Sha256::digest(std::fs::read(folder.join(name)).expect("a migration")));
        match known.get(name) {
            Some(landed) => assert_eq!(*landed, hash, "{name} has landed: write a new migration instead"),
            None => new.push_str(&format!("{hash}  {name}\n")),
        }
    }
    let gone: Vec<_> = known.keys().filter(|name| !files.iter().any(|file| file.to_str() == Some(name))).collect();
    assert!(gone.is_empty(), "migrations that landed are gone: {gone:?}");
    if std::env::var_os("HOLDFAST_BLESS").is_some() {
        let old = std::fs::read_to_string(&list).unwrap_or_default();
        std::fs::write(&list, old + &new).expect("the list");
    } else {
        assert!(new.is_empty(), "new migrations; HOLDFAST_BLESS=1 adds these lines to {}:\n{new}", list.display());
    }
}

/// Names of all functions of the workspace's tests.
fn test_names() -> BTreeSet<String> {
    let name = |line: &str| {
        let (_, rest) = line.trim().split_once("fn ")?;
        rest.split_once('(').map(|(name, _)| name.to_owned())
    };
    let texts = rust_files().into_iter().map(|file| std::fs::read_to_string(file).expect("is read"));
    texts.flat_map(|text| text.lines().filter_map(name).collect::<Vec<_>>()).collect()
}

#[test]
fn each_row_of_the_failure_matrix_has_its_tests() {
    let names = test_names();
    let table = std::fs::read_to_string(root().join("dev.d/faults.tsv")).expect("dev.d/faults.tsv");
    let rows: Vec<Vec<&str>> =
        table.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t').collect()).collect();
    let numbers: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    let others = std::iter::once("hosts".to_owned());
    assert_eq!(numbers, (1..=45).map(|number| format!("F{number:02}")).chain(others).collect::<Vec<_>>());
    for row in rows {
        assert_eq!(row.len(), 3, "{row:?}");
        for named in row[2].split("test(").skip(1).filter_map(|rest| rest.split_once(')')) {
            let part = named.0;
            assert!(
                part.starts_with('/') || part == "schedule" || names.iter().any(|name| name.contains(part)),
                "{row:?}"
            );
        }
    }
}

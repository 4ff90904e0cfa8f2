//! What several promises need.

use anyhow::{Context, Result, ensure};
use holdfast_testbed::compare::{CompareOptions, compare};
use holdfast_testbed::site::SiteOptions;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The program under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_holdfast");

/// A site of it.
pub fn options() -> SiteOptions {
    SiteOptions::new(BINARY)
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Fails with every difference between the two trees.
pub fn assert_equal(expected: &Path, actual: &Path) -> Result<()> {
    let found = compare(expected, actual, &CompareOptions { owners: is_root() })?;
    ensure!(found.is_equal() && found.entries > 1, "{} is not {}: {found}", actual.display(), expected.display());
    Ok(())
}

/// Every path below `root`, relative, in order.
pub fn listing(root: &Path) -> Result<Vec<String>> {
    let (mut found, mut left) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            found.push(path.strip_prefix(root)?.to_string_lossy().into_owned());
            if path.symlink_metadata()?.is_dir() {
                left.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The files below `root`, with their whole paths.
pub fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let paths = listing(root)?.into_iter().map(|path| root.join(path));
    Ok(paths.filter(|path| path.symlink_metadata().is_ok_and(|meta| meta.is_file())).collect())
}

/// Runs a program to its good end; what it printed.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("starting {:?}", command.get_program()))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{:?} ended with {}: {said}", command.get_program(), output.status);
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

//! What the restore program counted in its staging folder.

use holdfast_domain::warning::{Warning, WarningCode};

/// `holdfast:staged STATUS LISTED ENTRIES FILES BYTES DEVICES PRIVILEGED`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Staged {
    /// tar's own exit status.
    pub(crate) status: u32,
    /// Entries that tar read.
    pub(crate) listed: u64,
    /// Entries that are there.
    pub(crate) entries: u64,
    /// Of these, regular files.
    pub(crate) files: u64,
    /// Bytes in them.
    pub(crate) size_bytes: u64,
    /// Devices that were removed.
    pub(crate) devices: u64,
    /// Files whose set-user-id or set-group-id bit was taken away.
    pub(crate) privileged: u64,
}

impl Staged {
    /// Reads the line; none if it is another one.
    pub(crate) fn parse(line: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(line).ok()?.strip_prefix("holdfast:staged ")?;
        let numbers: Vec<u64> = text.split(' ').map(str::parse).collect::<Result<_, _>>().ok()?;
        let &[status, listed, entries, files, size_bytes, devices, privileged] = numbers.as_slice() else {
            return None;
        };
        Some(Self { status: u32::try_from(status).ok()?, listed, entries, files, size_bytes, devices, privileged })
    }

    /// What was made harmless, and what is not there.
    pub(crate) fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        let mut warn = |code, message| warnings.push(Warning { code, path: None, message });
        if self.devices > 0 {
            warn(WarningCode::Defused, format!("{} device files were not restored", self.devices));
        }
        if self.privileged > 0 {
            warn(WarningCode::Defused, format!("{} files lost their set-user-id or set-group-id bit", self.privileged));
        }
        let there = self.entries + self.devices;
        if there < self.listed {
            let message =
                format!("{} entries were read and {there} are there: the archive names some twice", self.listed);
            warn(WarningCode::NotRestored, message);
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_line_of_numbers_is_read() {
        let staged = Staged::parse(b"holdfast:staged 0 5 6 3 1234 1 2").unwrap();
        assert_eq!((staged.status, staged.listed, staged.entries, staged.files), (0, 5, 6, 3));
        assert_eq!(staged.warnings().len(), 2);
        for other in [&b"holdfast:staged 0 5 6 3 1234 1"[..], b"holdfast:staged 0 x 6 3 1 1 2", b"holdfast:ready"] {
            assert_eq!(Staged::parse(other), None);
        }
    }
}

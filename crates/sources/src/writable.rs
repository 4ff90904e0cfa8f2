//! Makes a tar stream unpackable by a user who is not root.
//!
//! GNU tar 1.34 makes a file that carries extended attributes with its final mode, sets the attributes, and then opens it
//! for writing: for a read-only file only root gets through, and the content is missing ("Cannot open: Permission denied").
//! So such a file's header gets the owner's write bit, and both privileged bits as a mark, which the program on the server
//! takes away again. Every other privileged bit goes on the way: the mark would otherwise mean two things.
//!
//! Only headers change, and only their mode and checksum. What is no header of the kind that we know is passed on as it is,
//! for tar to judge.

use bytes::Bytes;

/// Size of a header, and what bodies are padded to.
const BLOCK: usize = 512;

/// Extended headers that are looked into, bytes; a longer one is passed on unread.
const PAX_MAX: u64 = 1024 * 1024;

const OWNER_WRITES: u64 = 0o200;
const PRIVILEGED: u64 = 0o6000;

/// Where in the stream we are.
#[derive(Default)]
pub(crate) struct Writable {
    partial: Vec<u8>,
    body_left: u64,
    pax: Option<Vec<u8>>,
    // What the extended header said of the file that comes next.
    has_attributes: bool,
    size: Option<u64>,
    lost: bool,
    /// Files whose privileged bits were taken away.
    pub(crate) defused: u64,
}

impl Writable {
    /// `bytes` as they are to be sent; the beginning of a header waits for its rest.
    pub(crate) fn pass(&mut self, bytes: &Bytes) -> Bytes {
        if self.lost {
            return bytes.clone();
        }
        let mut data = std::mem::take(&mut self.partial);
        data.extend_from_slice(bytes);
        let mut at = 0;
        while at < data.len() && !self.lost {
            let left = data.len() - at;
            if self.body_left > 0 {
                let take = usize::try_from(self.body_left).unwrap_or(usize::MAX).min(left);
                self.take_body(&data[at..at + take]);
                at += take;
            } else if left < BLOCK {
                self.partial = data.split_off(at);
            } else {
                self.take_header(&mut data[at..at + BLOCK]);
                at += BLOCK;
            }
        }
        Bytes::from(data)
    }

    /// What still waits when the stream is over.
    pub(crate) fn rest(&mut self) -> Bytes {
        Bytes::from(std::mem::take(&mut self.partial))
    }

    fn take_body(&mut self, piece: &[u8]) {
        self.body_left -= piece.len() as u64;
        if let Some(pax) = &mut self.pax {
            pax.extend_from_slice(piece);
        }
        if self.body_left == 0
            && let Some(pax) = self.pax.take()
        {
            for (key, value) in records(&pax) {
                self.has_attributes |= key.starts_with(b"SCHILY.xattr.") || key.starts_with(b"SCHILY.acl.");
                if key == b"size" {
                    self.size = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                }
            }
        }
    }

    fn take_header(&mut self, header: &mut [u8]) {
        if header.iter().all(|byte| *byte == 0) {
            return;
        }
        let (Some(mode), Some(size)) = (number(&header[100..108]), number(&header[124..136])) else {
            self.lost = true;
            return;
        };
        let kind = header[156];
        // Old GNU sparse files have further headers that only tar understands.
        if number(&header[148..156]) != Some(checksum(header)) || kind == b'S' {
            self.lost = true;
            return;
        }
        let is_about_the_next = matches!(kind, b'x' | b'g' | b'L' | b'K' | b'X');
        let size = if is_about_the_next { size } else { self.size.take().unwrap_or(size) };
        self.body_left = match kind {
            // Links, devices, folders and pipes have no body whatever their size says.
            b'1'..=b'6' => 0,
            _ => size.div_ceil(BLOCK as u64).saturating_mul(BLOCK as u64),
        };
        if is_about_the_next {
            self.pax = (matches!(kind, b'x' | b'X') && self.body_left <= PAX_MAX).then(Vec::new);
            return;
        }
        let has_attributes = std::mem::take(&mut self.has_attributes);
        if matches!(kind, b'0' | 0 | b'7') {
            self.adjust(header, mode, has_attributes);
        }
    }

    fn adjust(&mut self, header: &mut [u8], mode: u64, has_attributes: bool) {
        let plain = mode & !PRIVILEGED;
        self.defused += u64::from(plain != mode);
        let is_shut = has_attributes && plain & OWNER_WRITES == 0;
        let sent = if is_shut { plain | OWNER_WRITES | PRIVILEGED } else { plain };
        if sent != mode {
            header[100..108].copy_from_slice(format!("{sent:07o}\0").as_bytes());
            let sum = checksum(header);
            header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
}

/// The sum of a header's bytes, with spaces where it stands itself.
fn checksum(header: &[u8]) -> u64 {
    header.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) }).sum()
}

/// An octal field, or a big one in base 256.
fn number(field: &[u8]) -> Option<u64> {
    if field[0] == 0x80 {
        let bytes = field[1..].iter().skip_while(|b| **b == 0);
        return bytes.clone().count().le(&8).then(|| bytes.fold(0, |sum, byte| sum << 8 | u64::from(*byte)));
    }
    let text = std::str::from_utf8(field).ok()?.trim_matches([' ', '\0']);
    if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok() }
}

/// `LENGTH KEY=VALUE\n`, as long as they are well-formed.
fn records(mut pax: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        let space = pax.iter().position(|b| *b == b' ')?;
        let length: usize = std::str::from_utf8(&pax[..space]).ok()?.parse().ok()?;
        let record = pax.get(space + 1..length.checked_sub(1)?)?;
        pax = pax.get(length..)?;
        let equals = record.iter().position(|b| *b == b'=')?;
        Some((&record[..equals], &record[equals + 1..]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive() -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, mode, attribute) in
            [("plain", 0o444, None), ("shut", 0o444, Some("v")), ("open", 0o644, Some("v")), ("suid", 0o6755, None)]
        {
            if let Some(value) = attribute {
                builder.append_pax_extensions([("SCHILY.xattr.user.a", value.as_bytes())]).unwrap();
            }
            let mut header = tar::Header::new_ustar();
            header.set_mode(mode);
            header.set_size(1000);
            builder.append_data(&mut header, name, &[b'x'; 1000][..]).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn modes(stream: &[u8]) -> Vec<(String, u32, u64)> {
        let mut archive = tar::Archive::new(stream);
        let entries = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            (entry.path().unwrap().display().to_string(), entry.header().mode().unwrap(), entry.size())
        });
        entries.collect()
    }

    #[test]
    fn only_read_only_files_with_attributes_are_marked_however_the_stream_is_cut() {
        let whole = archive();
        for piece in [1, 100, 511, 512, 513, 4096, whole.len()] {
            let mut writable = Writable::default();
            let mut sent: Vec<u8> =
                whole.chunks(piece).flat_map(|c| writable.pass(&Bytes::copy_from_slice(c)).to_vec()).collect();
            sent.extend_from_slice(&writable.rest());
            assert_eq!(sent.len(), whole.len(), "{piece}");
            let expected = [("plain", 0o444), ("shut", 0o6644), ("open", 0o644), ("suid", 0o755)];
            let expected: Vec<_> = expected.into_iter().map(|(n, m)| (n.to_owned(), m, 1000)).collect();
            assert_eq!(modes(&sent), expected, "{piece}");
            assert_eq!(writable.defused, 1);
        }
    }

    #[test]
    fn what_is_no_tar_passes_unchanged() {
        for odd in [vec![b'x'; 5000], archive()[3..].to_vec(), vec![0; 10_240]] {
            let mut writable = Writable::default();
            let mut sent = writable.pass(&Bytes::from(odd.clone())).to_vec();
            sent.extend_from_slice(&writable.rest());
            assert_eq!(sent, odd);
        }
    }
}

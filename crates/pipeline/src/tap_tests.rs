use super::*;
use proptest::prelude::*;

/// A header block as GNU tar writes it.
fn header(name: &str, kind: u8, size: u64) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.set_path(name).expect("a short name");
    header.set_entry_type(tar::EntryType::new(kind));
    header.set_size(size);
    header.set_mode(0o644);
    header.set_mtime(1_700_000_000);
    header.set_cksum();
    header.as_bytes().to_vec()
}

fn padded(content: &[u8]) -> Vec<u8> {
    let mut out = content.to_vec();
    out.resize(content.len().next_multiple_of(BLOCK), 0);
    out
}

fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let body = [b" ", key.as_bytes(), b"=", value, b"\n"].concat();
    let mut length = body.len();
    while body.len() + length.to_string().len() != length {
        length = body.len() + length.to_string().len();
    }
    [length.to_string().as_bytes(), &body].concat()
}

fn pax(records: &[(&str, &[u8])]) -> Vec<u8> {
    let content: Vec<u8> = records.iter().flat_map(|(k, v)| record(k, v)).collect();
    [header("PaxHeaders/x", b'x', content.len() as u64), padded(&content)].concat()
}

fn end() -> Vec<u8> {
    vec![0; 1024]
}

fn walk(stream: &[u8], chunk: usize) -> Result<(Vec<IndexEntry>, TapReport), TapError> {
    let (mut tap, mut entries) = (Tap::default(), Vec::new());
    for bytes in stream.chunks(chunk) {
        tap.push(bytes, &mut |entry| entries.push(entry))?;
    }
    Ok((entries, tap.report()))
}

/// A stream with everything in it.
fn everything() -> Vec<u8> {
    [
        header("top/", b'5', 0),
        header("top/a", b'0', 700),
        padded(&[7; 700]),
        pax(&[("path", b"top/line\nfeed"), ("SCHILY.xattr.user.x", b"1\n2=\n"), ("mtime", b"-1.5")]),
        header("ignored", b'0', 1),
        padded(b"x"),
        pax(&[("size", b"1024"), ("uid", b"4000000000")]),
        header("top/large", b'0', 0),
        vec![9; 1024],
        header("././@LongLink", b'L', 301),
        padded(&[[b'n'; 300].as_slice(), b"\0"].concat()),
        header("cut", b'0', 0),
        header("top/link", b'1', 12345),
        end(),
        vec![0; 5 * BLOCK],
    ]
    .concat()
}

#[test]
fn every_kind_of_name_and_number_is_read() {
    let (entries, report) = walk(&everything(), usize::MAX).expect("is a tar");
    assert_eq!(report, TapReport { nfiles: 6, unindexed: 0, end_mark_seen: true });
    let paths: Vec<&str> = entries.iter().map(|e| e.path.as_str()).collect();
    assert_eq!(paths, ["top/", "top/a", "top/line\nfeed", "top/large", &"n".repeat(300), "top/link"]);
    assert_eq!((entries[2].mtime, entries[2].xattrs.as_slice()), (-1, ["user.x".to_owned()].as_slice()));
    assert_eq!((entries[3].size, entries[3].uid), (1024, 4_000_000_000));
    assert_eq!(entries[5].size, 0, "a hard link has no data, whatever it says");
    for (entry, next) in entries.iter().zip(&entries[1..]) {
        assert_eq!(entry.offset + entry.length, next.offset);
    }
}

#[test]
fn what_cannot_be_walked_is_refused() {
    let file = || header("a", b'0', 0);
    let mut flipped = file();
    flipped[0] ^= 1;
    let huge = header("x", b'x', MAX_EXTENDED_BYTES + 1);
    let malformed = [header("x", b'x', 9), padded(b"9 path=a\n")].concat();
    let short = [header("x", b'x', 9), padded(b"99 path=a")].concat();
    assert_eq!(walk(&flipped, 100), Err(TapError::Checksum { at: 0 }));
    assert_eq!(walk(&[file(), vec![0; BLOCK], file()].concat(), 100), Err(TapError::LoneZero { at: 1024 }));
    assert_eq!(walk(&[end(), file()].concat(), 512), Err(TapError::AfterEnd { at: 1024 }));
    assert_eq!(walk(&huge, 100), Err(TapError::Extended { at: 0, bytes: MAX_EXTENDED_BYTES + 1 }));
    assert!(matches!(walk(&[malformed, file()].concat(), 100), Ok(_) | Err(TapError::Pax { .. })));
    assert_eq!(walk(&short, 100), Err(TapError::Pax { at: 1024 }));
}

#[test]
fn only_two_zero_blocks_are_an_end() {
    let file = header("a", b'0', 0);
    for (tail, is_end) in [(0, false), (512, false), (1023, false), (1024, true), (10_240, true)] {
        let (_, report) = walk(&[file.clone(), vec![0; tail]].concat(), 100).expect("no error");
        assert_eq!(report.end_mark_seen, is_end, "{tail} zeros");
    }
}

#[test]
fn a_path_beyond_reason_is_counted_and_not_indexed() {
    let path = vec![b'a'; MAX_PATH_BYTES + 1];
    let (entries, report) = walk(&[pax(&[("path", &path)]), header("a", b'0', 0), end()].concat(), 4096).expect("ok");
    assert!(entries.is_empty());
    assert_eq!((report.nfiles, report.unindexed), (1, 1));
}

proptest! {
    #[test]
    fn it_does_not_matter_how_the_bytes_are_cut(chunk in 1usize..3000) {
        prop_assert_eq!(walk(&everything(), chunk), walk(&everything(), usize::MAX));
    }

    #[test]
    fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 512..4000), kind: u8) {
        // A right checksum, so that the walk gets past the first block.
        let mut header = Header::new_old();
        header.as_mut_bytes().copy_from_slice(&bytes[..BLOCK]);
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_cksum();
        bytes[..BLOCK].copy_from_slice(header.as_bytes());
        drop(walk(&bytes, 700));
    }
}

use super::*;

fn int(out: &mut Vec<u8>, value: i32) {
    out.push(u8::from(value < 0));
    out.extend_from_slice(&value.unsigned_abs().to_le_bytes());
}

fn text(out: &mut Vec<u8>, value: Option<&str>) {
    match value {
        None => int(out, -1),
        Some(value) => {
            int(out, i32::try_from(value.len()).unwrap());
            out.extend_from_slice(value.as_bytes());
        }
    }
}

struct Made<'a> {
    id: i32,
    class: &'a str,
    oid: &'a str,
    kind: &'a str,
    has_data: bool,
    needs: &'a [&'a str],
}

fn contents(minor: u8, entries: &[Made<'_>]) -> Vec<u8> {
    let mut out = b"PGDMP\x01".to_vec();
    out.extend_from_slice(&[minor, 0, 4, 8, 1]);
    if minor >= 15 {
        out.push(0)
    } else {
        int(&mut out, 0)
    }
    (0..7).for_each(|n| int(&mut out, n));
    ["db", "15.18", "15.18"].into_iter().for_each(|t| text(&mut out, Some(t)));
    int(&mut out, i32::try_from(entries.len()).unwrap());
    for entry in entries {
        int(&mut out, entry.id);
        int(&mut out, i32::from(entry.has_data));
        [entry.class, entry.oid, "a name", entry.kind].into_iter().for_each(|t| text(&mut out, Some(t)));
        int(&mut out, 2);
        let long = "CREATE …".repeat(50);
        [Some(long.as_str()), Some(""), None, Some("public"), None].into_iter().for_each(|t| text(&mut out, t));
        if minor >= 14 {
            text(&mut out, Some("heap"));
        }
        if minor >= 16 {
            int(&mut out, 114);
        }
        ["owner", "false"].into_iter().for_each(|t| text(&mut out, Some(t)));
        entry.needs.iter().map(|need| Some(*need)).chain([None]).for_each(|t| text(&mut out, t));
        out.extend_from_slice(&[2, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
    out
}

fn example(minor: u8) -> Vec<u8> {
    let made = |id, class, oid, kind, has_data, needs| Made { id, class, oid, kind, has_data, needs };
    let mut out = contents(
        minor,
        &[
            made(1, "1259", "100", "TABLE", false, &[]),
            made(2, "1259", "101", "TABLE", false, &["1"]),
            made(3, "0", "100", "TABLE DATA", true, &["1"]),
            made(4, "0", "0", "BLOBS", true, &[]),
            made(5, "2606", "102", "FK CONSTRAINT", false, &["1", "2"]),
            made(6, "0", "0", "COMMENT", false, &["5"]),
        ],
    );
    out.push(1);
    int(&mut out, 3);
    for row in ["1\tx\n", "2\ty\n", "\\.\n"] {
        text(&mut out, Some(row));
    }
    int(&mut out, 0);
    out.push(3);
    int(&mut out, 4);
    int(&mut out, 777);
    text(&mut out, Some("object"));
    int(&mut out, 0);
    int(&mut out, 0);
    out
}

fn read(mut archive: Archive, bytes: &[u8], piece: usize) -> Result<Archive, Malformed> {
    bytes.chunks(piece).try_for_each(|chunk| archive.feed(chunk))?;
    Ok(archive)
}

#[test]
fn every_known_layout_is_read_however_it_is_cut() {
    for minor in KNOWN {
        let bytes = example(minor);
        for piece in [1, 2, 7, 64, 1000, bytes.len()] {
            let archive = read(Archive::default(), &bytes, piece).unwrap();
            assert!(archive.is_whole() && archive.is_known(), "1.{minor} in pieces of {piece}");
            assert_eq!(archive.tables(), [100, 101]);
            assert_eq!(archive.list(), "1;\n2;\n3;\n4;\n5;\n6;\n");
        }
    }
}

#[test]
fn nothing_shorter_is_whole_and_nothing_longer_is_an_archive() {
    let bytes = example(14);
    for end in 0..bytes.len() {
        assert!(!read(Archive::default(), &bytes[..end], 50).unwrap().is_whole(), "{end} of {}", bytes.len());
    }
    let longer = [bytes.as_slice(), &[1, 0, 3, 0, 0, 0]].concat();
    assert_eq!(read(Archive::default(), &longer, 50).err(), Some(Malformed::Data));
}

#[test]
fn what_is_left_out_takes_what_hangs_on_it_along() {
    let archive = read(Archive::without([(2606, 102)].into()), &example(16), 9).unwrap();
    assert!(archive.has_omitted());
    assert_eq!(archive.list(), "1;\n2;\n3;\n4;\n");
    let archive = read(Archive::without([(2606, 999)].into()), &example(16), 9).unwrap();
    assert!(!archive.has_omitted());
}

#[test]
fn other_bytes_are_refused_and_a_newer_layout_is_passed_by() {
    assert_eq!(read(Archive::default(), b"-- PostgreSQL database dump\n", 5).err(), Some(Malformed::Magic));
    let mut newer = example(16);
    newer[6] = 17;
    let archive = read(Archive::default(), &newer, 11).unwrap();
    assert!(!archive.is_known() && archive.tables().is_empty());
    // A length that nobody has, for every number that there is: an error or an unfinished archive, never a panic.
    for at in 5..example(14).len() {
        let mut broken = example(14);
        broken[at] ^= 0xff;
        let _ = read(Archive::default(), &broken, 33).map(|archive| archive.is_whole());
    }
}

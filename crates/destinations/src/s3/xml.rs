//! The XML that S3 stores answer with, as a flat list of texts. No document type, no entity of the peer's own, a bounded
//! depth: what is larger than a caller's bound never comes here.

use quick_xml::Reader;
use quick_xml::events::Event;

/// Elements within each other.
const MAX_DEPTH: usize = 12;

/// The answer is not XML that a store has reason to send.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotAnAnswer;

/// `Root/Child/Leaf` and its text, in the order of the document; elements that hold others have no text.
pub(super) struct Leaves(Vec<(String, String)>);

impl Leaves {
    /// Reads `body`.
    pub(super) fn read(body: &[u8]) -> Result<Self, NotAnAnswer> {
        let text = std::str::from_utf8(body).map_err(|_| NotAnAnswer)?;
        let mut reader = Reader::from_str(text);
        let mut open: Vec<String> = Vec::new();
        let mut leaf: Option<String> = None;
        let mut found = Vec::new();
        loop {
            match reader.read_event().map_err(|_| NotAnAnswer)? {
                Event::Start(start) => {
                    if open.len() == MAX_DEPTH {
                        return Err(NotAnAnswer);
                    }
                    open.push(start.local_name().into_inner().to_owned());
                    leaf = Some(String::new());
                }
                Event::End(_) => {
                    if let Some(text) = leaf.take() {
                        found.push((open.join("/"), text.trim().to_owned()));
                    }
                    open.pop();
                }
                Event::Text(text) => leaf.iter_mut().for_each(|leaf| leaf.push_str(&text.xml10_content())),
                Event::CData(data) => leaf.iter_mut().for_each(|leaf| leaf.push_str(&data.xml10_content())),
                Event::GeneralRef(name) => {
                    let character = character(&name.resolve_char_ref(), &name.xml10_content())?;
                    leaf.iter_mut().for_each(|leaf| leaf.push(character));
                }
                Event::DocType(_) => return Err(NotAnAnswer),
                Event::Eof if open.is_empty() => return Ok(Self(found)),
                Event::Eof => return Err(NotAnAnswer),
                Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => (),
            }
        }
    }

    /// The first text at `path`.
    pub(super) fn first(&self, path: &str) -> Option<&str> {
        self.0.iter().find(|(at, _)| at == path).map(|(_, text)| text.as_str())
    }

    /// Texts at `a` and `b` that belong together, as they follow each other.
    pub(super) fn pairs<'l>(&'l self, a: &'l str, b: &'l str) -> impl Iterator<Item = (&'l str, &'l str)> {
        let texts = |path: &'l str| self.0.iter().filter(move |(at, _)| at == path).map(|(_, text)| text.as_str());
        texts(a).zip(texts(b))
    }

    /// Whether the document's first element is called `name`.
    pub(super) fn is_rooted_at(&self, name: &str) -> bool {
        self.0.first().is_some_and(|(at, _)| at.split('/').next() == Some(name))
    }
}

/// What `&…;` stands for: a number, or one of the five that XML has by itself.
fn character(numbered: &Result<Option<char>, quick_xml::Error>, name: &str) -> Result<char, NotAnAnswer> {
    match (numbered, name) {
        (Ok(Some(character)), _) => Ok(*character),
        (_, "amp") => Ok('&'),
        (_, "lt") => Ok('<'),
        (_, "gt") => Ok('>'),
        (_, "quot") => Ok('"'),
        (_, "apos") => Ok('\''),
        _ => Err(NotAnAnswer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_found_by_their_place() {
        let body = br#"<?xml version="1.0"?><R xmlns="urn:x"><A> 1 &amp; &#x41; </A><U><K>k</K><I>i</I></U>
            <U><K>l</K><I>&quot;j&quot;</I></U><E/></R>"#;
        let leaves = Leaves::read(body).expect("reads");
        assert_eq!(leaves.first("R/A"), Some("1 & A"));
        assert_eq!(leaves.pairs("R/U/K", "R/U/I").collect::<Vec<_>>(), [("k", "i"), ("l", "\"j\"")]);
        assert!(leaves.is_rooted_at("R") && !leaves.is_rooted_at("A"));
        assert_eq!(leaves.first("R/U"), None);
    }

    #[test]
    fn what_a_store_has_no_reason_to_send_is_refused() {
        let laughs = br#"<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><Error><Code>&b;</Code></Error>"#;
        let entity = br"<Error><Code>&b;</Code></Error>";
        let deep = format!("{}{}", "<a>".repeat(5000), "</a>".repeat(5000));
        for body in [laughs.as_slice(), entity, deep.as_bytes(), b"<a><b></a>", b"<a>", b"\xff\xfe", b"<a"] {
            assert!(Leaves::read(body).is_err(), "{}", String::from_utf8_lossy(&body[..body.len().min(40)]));
        }
    }
}

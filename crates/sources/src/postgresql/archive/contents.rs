//! The table of contents of an archive: an entry for each object, its fields one after another. Only what proves something
//! is kept of an entry: its number, what it is, whether it promises data, what it needs.

use super::{Archive, At, Malformed};

/// A field of an entry, in the order in which they stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Id,
    HasData,
    Class,
    Number,
    Tag,
    Kind,
    Section,
    Definition,
    Drop,
    Copy,
    Schema,
    Tablespace,
    AccessMethod,
    RelationKind,
    Owner,
    WithOids,
    Needs,
    Offset,
}

/// What is kept of the entry that is being read.
#[derive(Default)]
pub(super) struct Entry {
    id: i64,
    has_data: bool,
    class: u32,
    number: u32,
    is_table: bool,
    is_omitted: bool,
}

impl Archive {
    pub(super) fn next_entry(&mut self) -> At {
        if self.entries_left == 0 { At::Block } else { At::Field(Field::Id) }
    }

    pub(super) fn field(&mut self, field: Field, data: &mut &[u8]) -> Result<Option<At>, Malformed> {
        use Field as F;
        let next = match field {
            F::Id | F::HasData | F::Section | F::RelationKind => {
                let Some(number) = self.int(data)? else { return Ok(None) };
                return Ok(Some(At::Field(self.take_number(field, number))));
            }
            F::Class | F::Number | F::Kind | F::Needs => {
                let Some(text) = self.text(data, true)? else { return Ok(None) };
                return self.take_text(field, text.as_deref()).map(|next| Some(At::Field(next)));
            }
            F::Offset => {
                if self.take(1 + self.offset_bytes, data).is_none() {
                    return Ok(None);
                }
                self.finish_entry()?;
                return Ok(Some(self.next_entry()));
            }
            F::Tag => F::Kind,
            F::Definition => F::Drop,
            F::Drop => F::Copy,
            F::Copy => F::Schema,
            F::Schema => F::Tablespace,
            F::Tablespace if self.minor >= 14 => F::AccessMethod,
            F::AccessMethod if self.minor >= 16 => F::RelationKind,
            F::Tablespace | F::AccessMethod => F::Owner,
            F::Owner => F::WithOids,
            F::WithOids => F::Needs,
        };
        Ok(self.text(data, false)?.map(|_| At::Field(next)))
    }

    fn take_number(&mut self, field: Field, number: i64) -> Field {
        match field {
            Field::Id => {
                self.entry = Entry { id: number, ..Entry::default() };
                Field::HasData
            }
            Field::HasData => {
                self.entry.has_data = number != 0;
                Field::Class
            }
            Field::Section => Field::Definition,
            _ => Field::Owner,
        }
    }

    fn take_text(&mut self, field: Field, text: Option<&[u8]>) -> Result<Field, Malformed> {
        let number = || {
            let text = std::str::from_utf8(text.unwrap_or_default()).ok();
            text.and_then(|text| text.parse::<u32>().ok()).ok_or(Malformed::Content)
        };
        Ok(match field {
            Field::Class => {
                self.entry.class = number()?;
                Field::Number
            }
            Field::Number => {
                self.entry.number = number()?;
                self.entry.is_omitted = self.omit.contains(&(self.entry.class, self.entry.number));
                Field::Tag
            }
            Field::Kind => {
                self.entry.is_table = text == Some(b"TABLE");
                Field::Section
            }
            _ if text.is_none() => Field::Offset,
            _ => {
                // A comment on something that is left out, and the like.
                self.entry.is_omitted |= self.omitted.contains(&i64::from(number()?));
                Field::Needs
            }
        })
    }

    fn finish_entry(&mut self) -> Result<(), Malformed> {
        let entry = std::mem::take(&mut self.entry);
        self.entries_left -= 1;
        if entry.has_data && !self.promised.insert(entry.id) {
            return Err(Malformed::Content);
        }
        if entry.is_table {
            self.tables.push(entry.number);
        }
        match entry.is_omitted {
            true => drop(self.omitted.insert(entry.id)),
            false => self.wanted.push(entry.id),
        }
        Ok(())
    }
}

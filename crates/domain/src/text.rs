//! Text as people type it, made canonical before anything else looks at it: NFC, trimmed, no control characters, no
//! characters that reorder what is shown. Not for passwords and paths, whose bytes are their meaning.

use unicode_normalization::UnicodeNormalization;

/// Why a text is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextProblem {
    /// Nothing that could be seen.
    #[error("it is empty")]
    Empty,
    /// More characters than allowed.
    #[error("it may have at most {0} characters")]
    TooManyChars(usize),
    /// More bytes than allowed.
    #[error("it may have at most {0} bytes")]
    TooManyBytes(usize),
    /// NUL, other C0 or C1, a line or paragraph separator.
    #[error("it has a control character")]
    ControlCharacter,
    /// A bidirectional override, embedding or isolate.
    #[error("it has a character that changes the direction of what is shown")]
    BidiControl,
}

/// What a text may be.
#[derive(Clone, Copy, Debug)]
pub struct TextRule {
    max_chars: usize,
    max_bytes: usize,
    has_lines: bool,
}

/// Names that are shown: labels, names of people, teams and tokens. Room for 255 characters of any script.
pub const LABEL: TextRule = TextRule { max_chars: 255, max_bytes: 1020, has_lines: false };
/// Descriptions: the only text with line breaks.
pub const DESCRIPTION: TextRule = TextRule { max_chars: 1000, max_bytes: 4000, has_lines: true };

impl TextRule {
    /// A single line of up to `max_chars` characters (of up to four bytes each).
    #[must_use]
    pub const fn line(max_chars: usize) -> Self {
        Self { max_chars, max_bytes: max_chars * 4, has_lines: false }
    }

    /// The canonical form of `raw`.
    ///
    /// # Errors
    /// The first rule it breaks.
    pub fn canonical(&self, raw: &str) -> Result<String, TextProblem> {
        // NFC shortens a text to a third at most, so a longer one needs no work to be refused.
        if raw.len() > self.max_bytes.saturating_mul(3).saturating_add(1024) {
            return Err(TextProblem::TooManyBytes(self.max_bytes));
        }
        let text: String = raw.trim().replace("\r\n", "\n").nfc().collect();
        for character in text.chars() {
            if is_bidi_control(character) {
                return Err(TextProblem::BidiControl);
            }
            if is_control(character) && !(self.has_lines && character == '\n') {
                return Err(TextProblem::ControlCharacter);
            }
        }
        if text.chars().all(is_invisible) {
            return Err(TextProblem::Empty);
        }
        if text.chars().count() > self.max_chars {
            return Err(TextProblem::TooManyChars(self.max_chars));
        }
        if text.len() > self.max_bytes {
            return Err(TextProblem::TooManyBytes(self.max_bytes));
        }
        Ok(text)
    }
}

/// Whether Postgres can store it as text: everything but NUL. The least that holds for passwords too.
#[must_use]
pub fn is_storable(raw: &str) -> bool {
    !raw.contains('\0')
}

pub(crate) fn is_control(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}' | '\u{2029}')
}

pub(crate) fn is_bidi_control(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Characters that show nothing: a label of only these could not be told from none (Unicode's default ignorable ones,
/// blanks, and letters that are blank by definition).
pub(crate) fn is_invisible(character: char) -> bool {
    character.is_whitespace()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{206f}' | '\u{2800}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hostile_text_is_refused_with_its_reason() {
        for (raw, problem) in [
            ("a\0b", TextProblem::ControlCharacter),
            ("a\u{85}b", TextProblem::ControlCharacter),
            ("a\u{1b}[2J", TextProblem::ControlCharacter),
            ("a\nb", TextProblem::ControlCharacter),
            ("a\u{2028}b", TextProblem::ControlCharacter),
            ("\u{202e}gnp.exe", TextProblem::BidiControl),
            ("a\u{2066}b", TextProblem::BidiControl),
            ("   ", TextProblem::Empty),
            ("", TextProblem::Empty),
            ("\u{200b}\u{feff}\u{200d}", TextProblem::Empty),
        ] {
            assert_eq!(LABEL.canonical(raw), Err(problem), "{raw:?}");
        }
    }

    #[test]
    fn length_is_counted_in_characters_of_any_script() {
        assert!(LABEL.canonical(&"𝕏".repeat(255)).is_ok());
        assert_eq!(LABEL.canonical(&"x".repeat(256)), Err(TextProblem::TooManyChars(255)));
        assert_eq!(LABEL.canonical(&"x".repeat(1_000_000)), Err(TextProblem::TooManyBytes(1020)));
    }

    #[test]
    fn odd_but_honest_text_stays_as_it_is() {
        for raw in ["$(reboot) `x` 'y' \"z\"", "--checkpoint-action", "שלום", "👩‍👩‍👧", "نمی‌خواهم", "<b>&amp;"]
        {
            assert_eq!(LABEL.canonical(raw).as_deref(), Ok(raw));
        }
        assert_eq!(LABEL.canonical(" e\u{301} ").as_deref(), Ok("é"));
        assert_eq!(DESCRIPTION.canonical("a\r\nb").as_deref(), Ok("a\nb"));
        assert_eq!(DESCRIPTION.canonical("a\tb"), Err(TextProblem::ControlCharacter));
    }

    proptest! {
        #[test]
        fn what_is_accepted_is_safe_and_stays_the_same(raw in any::<String>()) {
            for rule in [LABEL, DESCRIPTION] {
                if let Ok(text) = rule.canonical(&raw) {
                    prop_assert!(is_storable(&text) && !text.chars().any(is_bidi_control));
                    prop_assert!(text.chars().count() <= rule.max_chars && text.len() <= rule.max_bytes);
                    prop_assert_eq!(rule.canonical(&text), Ok(text.clone()), "canonical twice is canonical once");
                }
            }
        }
    }
}

//! Words that group tasks.

pub mod create;
pub mod delete;
pub mod list;
pub mod show;
pub mod update;

use crate::validation::{Fields, Presence};
use utoipa::ToSchema;
use validator::Validate;

const COLOUR_PROBLEM: &str = "The colour must be a valid hex color code (e.g., #d37445 or #f60).";

/// A tag as a client writes it.
#[derive(Default, Validate, ToSchema)]
#[schema(as = TagBody)]
pub(crate) struct Body {
    /// Two tags may have the same.
    #[validate(length(max = 255))]
    label: Option<String>,
    /// At most 1000 characters; null takes it away.
    description: Option<String>,
    /// `#rgb` or `#rrggbb`; null takes it away.
    colour: Option<String>,
}

impl Body {
    fn read(fields: &mut Fields) -> Self {
        let body = Self {
            label: fields.string("label", Presence::Required),
            description: fields.text("description", Presence::Optional),
            colour: fields.string("colour", Presence::Optional),
        };
        fields.check(&body);
        if fields.failed("colour") || body.colour.as_deref().is_some_and(|colour| !is_colour(colour)) {
            fields.fail("colour", COLOUR_PROBLEM);
        }
        body
    }
}

fn is_colour(text: &str) -> bool {
    let Some(digits) = text.strip_prefix('#') else { return false };
    matches!(digits.len(), 3 | 6) && digits.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_colour_is_a_hash_and_three_or_six_digits() {
        for good in ["#f60", "#D37445"] {
            assert!(super::is_colour(good), "{good}");
        }
        for bad in ["f60", "#f6", "#f600", "#ggg", "#f60 ", "#é6", "red", "#"] {
            assert!(!super::is_colour(bad), "{bad}");
        }
    }
}

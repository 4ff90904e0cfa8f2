//! The document of the API as a page for people: rendered here, with no script and nothing from elsewhere.

mod fields;
mod page;
pub mod show;

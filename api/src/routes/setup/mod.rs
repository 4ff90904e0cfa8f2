//! The one form that is rendered here: the first person of an installation.

mod page;
pub mod show;
pub mod submit;

//! Copies of the product's own database, for operators. A worker makes and keeps them; the api can neither read the whole
//! database nor open a copy.

pub mod create;
pub mod delete;
pub mod download;
pub mod list;
pub mod restore;
pub mod show;

//! Copies of the product's own state: its database, and in `admin backup` the key as well.
//!
//! The form is text that both this program and `psql` read: comment lines, then one `COPY … FROM stdin` block a table,
//! in an order in which every row's parents come first, all from one snapshot. It is compressed, and encrypted with age
//! where it leaves the machine. The last line says that it is whole; nothing is loaded from a file without it.
//!
//! Not in it: the queue (run rows are the truth, reconcilers queue them again) and what lives for seconds
//! ([`tables::TRANSIENT`]). By hand: `age -d -i KEY FILE | zstd -d | psql` into an empty, migrated database.

mod read;
mod reader;
mod tables;
mod write;

pub use read::load;
pub use reader::OwnDatabaseReader;
pub use write::{send_encrypted, write_encrypted, write_plain};

/// First line.
const HEAD: &str = "-- holdfast own copy, format 1";
/// One line a migration, in order.
const MIGRATION: &str = "-- migration: ";
/// The key file's content, base64; absent in copies that stay on the machine.
const KEK: &str = "-- kek: ";
/// Begins a table's rows.
const COPY: &str = "COPY ";
/// Ends a table's rows.
const ROWS_END: &str = "\\.";
/// A sequence's value.
const SEQUENCE: &str = "SELECT setval(pg_get_serial_sequence(";
/// Last line.
const END: &str = "-- end of the copy";

/// Lines that wait between the database and the file.
const QUEUE: usize = 16;

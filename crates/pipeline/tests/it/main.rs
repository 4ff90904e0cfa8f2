//! The byte path against itself, against hostile copies, and against the `age`, `zstd` and `tar` commands.

mod command_lines;
mod encoding;
mod fanning_out;
mod hostile_copies;
mod restoring;
mod speed;
mod support;

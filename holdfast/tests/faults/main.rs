//! Faults through the real binary: an api and workers as processes of their own, HTTP in, bytes at the destination out,
//! a real `sshd` and a real Postgres. Which fault is proven by which test stands in `docs/faults.md`.
//!
//! Every test ends with [`stage::Stage::assert_clean`]: nothing left anywhere, whatever happened before.

mod api;
mod bucket;
mod cancel;
mod clock;
mod copies;
mod database;
mod deploys;
mod disk;
mod exhausted;
mod frozen;
mod killed;
mod link;
mod paused;
mod restores;
mod servers;
mod sources;
mod stage;

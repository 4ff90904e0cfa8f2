//! Byte stages: `stdout → meter → [index] → zstd frames → age → sha-256 → fan-out`, and the way back.
//!
//! Streams with bounded buffers; never a whole file in memory, never a byte on a disk that is not the destination's.
//! The end of a stream is a positive statement of its producer: a channel that closes without one is an error.

pub mod sink;

pub use sink::Sink;

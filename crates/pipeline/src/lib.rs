//! Byte stages: `stdout → meter → [index] → zstd frames → age → sha-256 → fan-out`, and the way back.
//!
//! Streams with bounded buffers; never a whole file in memory, never a byte on a disk that is not the destination's.
//! The end of a stream is a positive statement of its producer: a channel that closes without one is an error.
//!
//! A backup: [`encode()`] gives an input, a body and an index; the worker pumps the source into the input while it runs
//! [`fan_out()`] over body and index *at the same time* (each has a small buffer: reading one after the other would stand
//! still). After `input.finish()` and both fan-outs, `outcome.wait()` says what was made, and only then
//! [`Written::commit`] makes it visible.

pub mod decode;
pub mod digest;
pub mod encode;
pub mod entry;
pub mod fan_out;
mod frames;
pub mod index;
pub mod key;
pub mod meter;
mod outlet;
pub mod reader;
pub mod restore_plan;
pub mod sink;
mod tap;
pub mod verify;

pub use decode::ByteStream;
pub use encode::{
    EncodeInput, EncodeOptions, EncodeOutcome, Encoded, EncodedIndex, Encoder, Stopped, StreamFormat, encode,
};
pub use entry::{EntryKind, IndexEntry};
pub use fan_out::{Target, TargetMeter, TargetState, Written, fan_out};
pub use key::{DecryptKey, Encryption, FileKey};
pub use meter::Meter;
pub use reader::ObjectReader;
pub use sink::{NextObject, Sink};

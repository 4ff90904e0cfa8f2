//! The threads behind [`super::encode`]. A channel between them that closes without `End` was not finished, and then
//! the sealed stream must not be finished either.

use super::{EncodeOptions, Encoded, Input, StreamFormat};
use crate::digest::Hasher;
use crate::frames::{FrameCompressor, MAX_FRAME_BYTES, SeekTable};
use crate::index::writer::IndexWriter;
use crate::key::Sealed;
use crate::meter::Meter;
use crate::outlet::{Outcome, Outlet};
use crate::reader::carried;
use crate::tap::{Tap, TapReport};
use holdfast_domain::manifest::Digest;
use holdfast_domain::{Failure, FailureCode, Step};
use std::io::Write as _;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use tokio::sync::mpsc;

/// Everything the threads work with.
pub(super) struct Work {
    pub(super) options: EncodeOptions,
    pub(super) from_source: mpsc::Receiver<Input>,
    pub(super) outlet: Outlet,
    pub(super) index_outlet: Option<Outlet>,
    pub(super) meter: Arc<Meter>,
}

/// Why a thread ended early.
enum Halt {
    /// For a reason of its own.
    Failed(Failure),
    /// Its neighbour is gone; the neighbour knows why.
    Neighbour,
}

/// From the front to a compressor.
enum Plain {
    Frame(Vec<u8>),
    End,
}

/// From a compressor to the back.
enum Compressed {
    Frame { plain_bytes: usize, frame: Vec<u8> },
    End,
}

struct Front {
    original: Digest,
    tap: TapReport,
    index: Option<IndexWriter>,
}

/// What the back made.
pub(crate) struct Back {
    pub(crate) stored: Digest,
    pub(crate) objects: Vec<Digest>,
    pub(crate) compressed_bytes: u64,
    pub(crate) seek_table: Digest,
}

impl Work {
    /// Runs until the stream is made or failed; the calling thread is the front.
    pub(super) fn run(self) -> Result<Encoded, Failure> {
        let Work { options, from_source, outlet, index_outlet, meter } = self;
        let (sealed, key) = Sealed::start(&options.encryption, outlet)?;
        let index = index_outlet.map(|out| IndexWriter::start(&options, out)).transpose()?;
        let level = options.level;
        let (front, back) = std::thread::scope(|scope| {
            let (mut to, mut lanes, mut compressors) = (Vec::new(), Vec::new(), Vec::new());
            let (emptied, spare) = channel();
            for _ in 0..options.compress_threads.max(1) {
                let (frames, plain) = sync_channel(0);
                let (done, compressed) = sync_channel(0);
                let (sealed_frames, spare_frames) = channel();
                to.push(frames);
                lanes.push(Lane { compressed, sealed: sealed_frames });
                let lane = Compressor { plain, emptied: emptied.clone(), spare: spare_frames, done };
                compressors.push(scope.spawn(move || lane.run(level)));
            }
            drop(emptied);
            let back = scope.spawn(|| seal(lanes, sealed, &meter));
            let frame_bytes = options.frame_bytes.clamp(1, MAX_FRAME_BYTES as usize);
            let front = FrontThread { from_source, to, spare, frame_bytes, meter: &meter };
            let front = front.run(options.format, index);
            let middle = compressors.into_iter().try_for_each(|c| c.join().unwrap_or_else(|_| Err(panicked())));
            let back = back.join().unwrap_or_else(|_| Err(panicked()));
            judge(front, middle, back)
        })?;
        let index = front.index.map(|writer| writer.finish(&front.original, &back, front.tap)).transpose()?;
        Ok(Encoded {
            original: front.original,
            compressed_bytes: back.compressed_bytes,
            stored: back.stored,
            objects: back.objects,
            index,
            nfiles: front.tap.nfiles,
            unindexed: front.tap.unindexed,
            end_mark_seen: front.tap.end_mark_seen,
            key,
        })
    }
}

/// The first reason that somebody had of his own.
fn judge(
    front: Result<Front, Halt>,
    middle: Result<(), Halt>,
    back: Result<Back, Halt>,
) -> Result<(Front, Back), Failure> {
    match (front, middle, back) {
        (Ok(front), Ok(()), Ok(back)) => Ok((front, back)),
        (Err(Halt::Failed(f)), _, _) | (_, Err(Halt::Failed(f)), _) | (_, _, Err(Halt::Failed(f))) => Err(f),
        _ => Err(internal("The byte threads ended without a reason.")),
    }
}

/// Hashes, walks, cuts.
struct FrontThread<'a> {
    from_source: mpsc::Receiver<Input>,
    to: Vec<SyncSender<Plain>>,
    /// Buffers that a compressor has read: used again, so that what a run takes does not depend on its length.
    spare: Receiver<Vec<u8>>,
    frame_bytes: usize,
    meter: &'a Meter,
}

impl FrontThread<'_> {
    fn run(mut self, format: StreamFormat, mut index: Option<IndexWriter>) -> Result<Front, Halt> {
        let (mut hasher, mut tap, mut cut) = (Hasher::default(), Tap::default(), Cutter::new(self.frame_bytes));
        loop {
            let bytes = match self.from_source.blocking_recv() {
                Some(Input::Data(bytes)) => bytes,
                Some(Input::Finish) => break,
                None => return Err(Halt::Failed(incomplete(Step::Stream, "The source did not finish."))),
            };
            hasher.update(&bytes);
            self.meter.add_original(bytes.len());
            if format == StreamFormat::Tar {
                self.walk(&mut tap, &bytes, index.as_mut())?;
            }
            cut.push(&bytes, &self.spare, |frame| self.hand_on(frame.0, Plain::Frame(frame.1)))?;
        }
        if format == StreamFormat::Tar && !tap.report().end_mark_seen {
            let detail = "The tar has no end mark: its end is missing.";
            return Err(Halt::Failed(incomplete(Step::FinishSource, detail)));
        }
        // Every stream has a frame, so that every zstd reader knows it as one.
        let number = match cut.rest() {
            Some((number, rest)) => {
                self.hand_on(number, Plain::Frame(rest))?;
                number + 1
            }
            None => cut.number,
        };
        self.hand_on(number, Plain::End)?;
        Ok(Front { original: hasher.finish(), tap: tap.report(), index })
    }

    fn walk(&self, tap: &mut Tap, bytes: &[u8], index: Option<&mut IndexWriter>) -> Result<(), Halt> {
        let mut index = index;
        let mut written = Ok(());
        let walked = tap.push(bytes, &mut |entry| {
            self.meter.entry(&entry.path);
            if let (Some(index), Ok(())) = (index.as_deref_mut(), &written) {
                written = index.entry(&entry);
            }
        });
        walked.map_err(|e| Halt::Failed(incomplete(Step::Stream, &format!("The source's tar is broken {e}."))))?;
        written.map_err(Halt::Failed)
    }

    fn hand_on(&self, number: usize, plain: Plain) -> Result<(), Halt> {
        self.to[number % self.to.len()].send(plain).map_err(|_| Halt::Neighbour)
    }
}

/// Cuts a stream into frames of equal size.
struct Cutter {
    frame: Vec<u8>,
    frame_bytes: usize,
    number: usize,
}

impl Cutter {
    fn new(frame_bytes: usize) -> Self {
        Self { frame: Vec::with_capacity(frame_bytes), frame_bytes, number: 0 }
    }

    fn push(
        &mut self,
        bytes: &[u8],
        spare: &Receiver<Vec<u8>>,
        mut full: impl FnMut((usize, Vec<u8>)) -> Result<(), Halt>,
    ) -> Result<(), Halt> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let n = (self.frame_bytes - self.frame.len()).min(rest.len());
            self.frame.extend_from_slice(&rest[..n]);
            rest = &rest[n..];
            if self.frame.len() == self.frame_bytes {
                // Who takes it has just emptied another, so there is one more buffer than compressors.
                full((self.number, std::mem::take(&mut self.frame)))?;
                self.number += 1;
                self.frame = spare.try_recv().unwrap_or_else(|_| Vec::with_capacity(self.frame_bytes));
                self.frame.clear();
            }
        }
        Ok(())
    }

    /// What is left over; an empty frame if there was nothing at all.
    fn rest(&mut self) -> Option<(usize, Vec<u8>)> {
        (!self.frame.is_empty() || self.number == 0).then(|| (self.number, std::mem::take(&mut self.frame)))
    }
}

/// One compressing thread's ends.
struct Compressor {
    plain: Receiver<Plain>,
    emptied: Sender<Vec<u8>>,
    /// Buffers that were sealed.
    spare: Receiver<Vec<u8>>,
    done: SyncSender<Compressed>,
}

impl Compressor {
    fn run(self, level: i32) -> Result<(), Halt> {
        let zstd = |e: std::io::Error| Halt::Failed(internal(&format!("zstd: {e}.")));
        let mut compressor = FrameCompressor::new(level).map_err(zstd)?;
        loop {
            let out = match self.plain.recv() {
                Ok(Plain::Frame(plain)) => {
                    let mut frame = self.spare.try_recv().unwrap_or_default();
                    compressor.compress(&plain, &mut frame).map_err(zstd)?;
                    let plain_bytes = plain.len();
                    // The front may have ended: then nobody needs the buffer.
                    let _ = self.emptied.send(plain);
                    Compressed::Frame { plain_bytes, frame }
                }
                Ok(Plain::End) => Compressed::End,
                // Not this thread's turn to see `End`, or the front failed: either way the others know.
                Err(_) => return Ok(()),
            };
            self.done.send(out).map_err(|_| Halt::Neighbour)?;
        }
    }
}

/// One compressing thread, as the back sees it.
struct Lane {
    compressed: Receiver<Compressed>,
    sealed: Sender<Vec<u8>>,
}

/// Takes from each compressor in turn, as the front gave to them. Its end of the lanes goes with it, so that no
/// compressor waits for a back that has failed.
fn seal(lanes: Vec<Lane>, mut sealed: Sealed<Outlet>, meter: &Meter) -> Result<Back, Halt> {
    let (mut table, mut compressed_bytes) = (SeekTable::default(), 0);
    for (lane, next) in lanes.iter().zip(lanes.iter().cycle().skip(1)).cycle() {
        let Compressed::Frame { plain_bytes, frame } = lane.compressed.recv().map_err(|_| Halt::Neighbour)? else {
            break;
        };
        table.push(plain_bytes, &frame).map_err(|e| Halt::Failed(internal(&e.to_string())))?;
        sealed.write_all(&frame).map_err(not_taken)?;
        compressed_bytes += frame.len() as u64;
        meter.add_compressed(frame.len());
        meter.set_stored_at_least(compressed_bytes);
        // To the compressor that waits to hand over, so that one buffer more than compressors is enough. Its thread may have
        // ended: then nobody needs it.
        let _ = next.sealed.send(frame);
    }
    let table = table.to_bytes().map_err(|e| Halt::Failed(internal(&e.to_string())))?;
    sealed.write_all(&table).map_err(not_taken)?;
    compressed_bytes += table.len() as u64;
    meter.add_compressed(table.len());
    let Outcome { whole, objects } = sealed.finish().and_then(Outlet::finish).map_err(not_taken)?;
    meter.set_stored_at_least(whole.size_bytes);
    Ok(Back { stored: whole, objects, compressed_bytes, seek_table: crate::digest::digest_of(&table) })
}

fn not_taken(error: std::io::Error) -> Halt {
    Halt::Failed(carried(error, |e| internal(&e.to_string())))
}

fn panicked() -> Halt {
    Halt::Failed(internal("A byte thread panicked."))
}

fn incomplete(step: Step, detail: &str) -> Failure {
    Failure::new(step, FailureCode::SourceIncomplete, detail)
}

fn internal(detail: &str) -> Failure {
    Failure::new(Step::Stream, FailureCode::Internal, detail)
}

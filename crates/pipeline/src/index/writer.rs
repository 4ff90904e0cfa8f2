//! Writes the index: one JSON object a line, in the same frames and sealed the same way as the stream it describes.

use super::Line;
use crate::encode::threads::Back;
use crate::encode::{EncodeOptions, EncodedIndex};
use crate::entry::IndexEntry;
use crate::frames::{FrameCompressor, SeekTable};
use crate::index::{INDEX_VERSION, IndexEnd};
use crate::key::{DecryptKey, Sealed};
use crate::outlet::Outlet;
use crate::reader::carried;
use crate::tap::TapReport;
use holdfast_domain::manifest::Digest;
use holdfast_domain::{Failure, FailureCode, Step};
use std::io::{self, Write as _};

/// Plain bytes of a frame of the index: smaller than the stream's, since all of it waits in memory.
const FRAME_BYTES: usize = 1 << 20;

/// An index in the making; it holds at most one frame.
pub(crate) struct IndexWriter {
    sealed: Sealed<Outlet>,
    key: DecryptKey,
    compressor: FrameCompressor,
    table: SeekTable,
    frame: Vec<u8>,
    entries: u64,
}

impl IndexWriter {
    pub(crate) fn start(options: &EncodeOptions, out: Outlet) -> Result<Self, Failure> {
        let (sealed, key) = Sealed::start(&options.encryption, out)?;
        let compressor = FrameCompressor::new(options.level).map_err(failed)?;
        let frame = Vec::with_capacity(FRAME_BYTES);
        let mut writer = Self { sealed, key, compressor, table: SeekTable::default(), frame, entries: 0 };
        writer.line(&Line::Index { version: INDEX_VERSION, format: "tar".to_owned() })?;
        Ok(writer)
    }

    pub(crate) fn entry(&mut self, entry: &IndexEntry) -> Result<(), Failure> {
        self.entries += 1;
        self.line(entry)
    }

    /// Writes the line that says what stream it belongs to, and the end.
    pub(crate) fn finish(mut self, original: &Digest, back: &Back, tap: TapReport) -> Result<EncodedIndex, Failure> {
        self.line(&Line::End(IndexEnd {
            entries: self.entries,
            unindexed: tap.unindexed,
            original: original.clone(),
            stored: back.stored.clone(),
            seek_table_sha256: back.seek_table.sha256.clone(),
        }))?;
        self.end_frame().map_err(failed)?;
        let table = self.table.to_bytes().map_err(failed)?;
        self.sealed.write_all(&table).map_err(failed)?;
        let stored = self.sealed.finish().and_then(Outlet::finish).map_err(failed)?.whole;
        Ok(EncodedIndex { stored, key: self.key })
    }

    fn line(&mut self, line: &impl serde::Serialize) -> Result<(), Failure> {
        serde_json::to_writer(&mut self.frame, line).map_err(|e| failed(e.into()))?;
        self.frame.push(b'\n');
        if self.frame.len() >= FRAME_BYTES { self.end_frame().map_err(failed) } else { Ok(()) }
    }

    fn end_frame(&mut self) -> io::Result<()> {
        let mut compressed = Vec::new();
        self.compressor.compress(&self.frame, &mut compressed)?;
        self.table.push(self.frame.len(), &compressed)?;
        self.frame.clear();
        self.sealed.write_all(&compressed)
    }
}

fn failed(error: io::Error) -> Failure {
    carried(error, |e| Failure::new(Step::Stream, FailureCode::Internal, format!("The index: {e}.")))
}

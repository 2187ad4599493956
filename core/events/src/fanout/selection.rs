use std::{io::IoSlice, ops::Range};

use bytes::Bytes;
use tiny_forge_model::EventId;

use crate::Chunks;

/// Which frames go to a subscriber, in order.
pub struct Selection<'s> {
    chunks: &'s [&'s Chunks],
    runs: Vec<Run>,
}

/// Neighbouring frames.
struct Run {
    /// Which of the chunks.
    part: usize,
    bytes: Range<usize>,
}

/// Where a socket has stopped taking bytes.
pub struct Cut {
    /// Everything up to here has been taken, the rest of this frame apart.
    pub after: EventId,
    /// Of the frame that was cut in two; empty if none was.
    pub rest: Bytes,
}

impl<'s> Selection<'s> {
    pub fn new(chunks: &'s [&'s Chunks]) -> Self {
        Self {
            chunks,
            runs: Vec::new(),
        }
    }

    /// Everything of `chunks`.
    pub fn all(chunks: &'s [&'s Chunks]) -> Self {
        let whole = |(part, chunks): (usize, &&Chunks)| Run {
            part,
            bytes: 0..chunks.bytes().len(),
        };
        Self {
            chunks,
            runs: chunks.iter().enumerate().map(whole).collect(),
        }
    }

    /// Frames are pushed in order.
    pub fn push(&mut self, part: usize, index: usize) {
        let chunk = self.chunks[part].chunk(index);
        match self.runs.last_mut() {
            Some(last) if last.part == part && last.bytes.end == chunk.start => {
                last.bytes.end = chunk.end;
            }
            _ => self.runs.push(Run { part, bytes: chunk }),
        }
    }

    pub fn slices(&self) -> Vec<IoSlice<'_>> {
        let runs = self.runs.iter();
        runs.map(|run| IoSlice::new(&self.chunks[run.part].bytes()[run.bytes.clone()]))
            .collect()
    }

    pub fn bytes(&self) -> usize {
        self.runs.iter().map(|run| run.bytes.len()).sum()
    }

    /// Where `taken` bytes, fewer than all, end.
    pub fn cut(&self, taken: usize) -> Cut {
        let mut left = taken;
        let mut runs = self.runs.iter();
        let run = runs.find(|run| {
            let is_cut = left < run.bytes.len();
            left -= if is_cut { 0 } else { run.bytes.len() };
            is_cut
        });
        let run = run.expect("fewer were taken than there are");
        let chunks = self.chunks[run.part];
        let offset = run.bytes.start + left;
        let index = chunks.frame_at(offset);
        let (chunk, id) = (chunks.chunk(index), chunks.id(index));
        if offset == chunk.start {
            return Cut {
                after: EventId(id.0 - 1),
                rest: Bytes::new(),
            };
        }
        Cut {
            after: id,
            // A copy: a subscriber that is stuck must not keep a segment.
            rest: Bytes::copy_from_slice(&chunks.bytes()[offset..chunk.end]),
        }
    }
}

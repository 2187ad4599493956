use std::{io::IoSlice, ops::Range, sync::Arc};

use bytes::Bytes;
use tiny_forge_model::EventId;

use crate::Segment;

/// Which bytes of some segments go to a subscriber, in order.
pub struct Selection<'s> {
    segments: &'s [Arc<Segment>],
    runs: Vec<Run>,
}

/// Neighbouring frames.
struct Run {
    segment: usize,
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
    pub fn new(segments: &'s [Arc<Segment>]) -> Self {
        Self {
            segments,
            runs: Vec::new(),
        }
    }

    /// Everything of `segments` after `after`.
    pub fn all(segments: &'s [Arc<Segment>], after: EventId) -> Self {
        let mut selection = Self::new(segments);
        for (number, segment) in segments.iter().enumerate() {
            for index in segment.first_after(after)..segment.len() {
                selection.push(number, index);
            }
        }
        selection
    }

    /// Frames are pushed in order.
    pub fn push(&mut self, segment: usize, index: usize) {
        let chunk = self.segments[segment].chunk(index);
        match self.runs.last_mut() {
            Some(last) if last.segment == segment && last.bytes.end == chunk.start => {
                last.bytes.end = chunk.end;
            }
            _ => self.runs.push(Run {
                segment,
                bytes: chunk,
            }),
        }
    }

    pub fn slices(&self) -> Vec<IoSlice<'_>> {
        let runs = self.runs.iter();
        runs.map(|run| IoSlice::new(&self.segments[run.segment].bytes()[run.bytes.clone()]))
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
        let segment = &self.segments[run.segment];
        let offset = run.bytes.start + left;
        let index = segment.frame_at(offset);
        let (chunk, id) = (segment.chunk(index), segment.parts(index).id);
        if offset == chunk.start {
            return Cut {
                after: EventId(id.0 - 1),
                rest: Bytes::new(),
            };
        }
        Cut {
            after: id,
            // A copy: a subscriber that is stuck must not keep a segment.
            rest: Bytes::copy_from_slice(&segment.bytes()[offset..chunk.end]),
        }
    }
}

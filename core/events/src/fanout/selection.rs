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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ChunksBuilder;

    fn chunks(ids: Range<i64>) -> Chunks {
        let mut chunks = ChunksBuilder::new("j1");
        for id in ids {
            let json = format!("{{\"n\":{}}}", 10_i64.pow(id as u32 % 7));
            chunks.push(EventId(id), |bytes| bytes.extend(json.into_bytes()));
        }
        chunks.seal().expect("frames")
    }

    /// Of each chunk, the frames for which `wanted` holds, and where they are.
    fn select<'s>(
        chunks: &'s [&'s Chunks],
        wanted: impl Fn(EventId) -> bool,
    ) -> (Selection<'s>, Vec<(EventId, &'s [u8])>) {
        let (mut selection, mut frames) = (Selection::new(chunks), Vec::new());
        for (part, chunks) in chunks.iter().enumerate() {
            for index in (0..chunks.len()).filter(|index| wanted(chunks.id(*index))) {
                selection.push(part, index);
                frames.push((chunks.id(index), &chunks.bytes()[chunks.chunk(index)]));
            }
        }
        (selection, frames)
    }

    #[test]
    fn wherever_a_socket_stops_what_it_took_and_the_rest_and_what_follows_are_the_whole() {
        let (first, second) = (chunks(1..8), chunks(8..15));
        let both = [&first, &second];
        // Alone, in runs of two, the first of each chunk left out, all of them.
        let wishes: [fn(i64) -> bool; 5] = [
            |id| id % 2 == 0,
            |id| id % 2 == 1,
            |id| id % 3 != 0,
            |id| id != 1 && id != 8,
            |_| true,
        ];
        for (number, wish) in wishes.iter().enumerate() {
            let (selection, frames) = select(&both, |id| wish(id.0));
            let whole = selection
                .slices()
                .iter()
                .flat_map(|slice| slice.to_vec())
                .collect::<Vec<u8>>();
            assert_eq!(whole.len(), selection.bytes());
            for taken in 0..whole.len() {
                let cut = selection.cut(taken);
                let mut sent = [&whole[..taken], &cut.rest].concat();
                let later = frames.iter().filter(|(id, _)| *id > cut.after);
                later.for_each(|(_, bytes)| sent.extend_from_slice(bytes));
                assert_eq!(sent, whole, "{taken} bytes of wish {number}");
            }
        }
    }
}

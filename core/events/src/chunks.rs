use std::ops::Range;

use bytes::Bytes;
use tiny_forge_model::EventId;

/// SSE frames in id order, ready to be sent: each is an HTTP chunk of its own,
/// so that any run of frames can be written as it is, and any choice of them by
/// one `writev`.
#[derive(Debug)]
pub struct Chunks {
    bytes: Bytes,
    marks: Vec<Mark>,
}

#[derive(Debug)]
struct Mark {
    id: EventId,
    end: u32,
}

impl Chunks {
    /// Frames, as many as there are.
    pub fn len(&self) -> usize {
        self.marks.len()
    }

    /// Never true of sealed ones.
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// Everything.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub fn id(&self, index: usize) -> EventId {
        self.marks[index].id
    }

    pub fn last(&self) -> EventId {
        self.marks.last().map_or(EventId(0), |mark| mark.id)
    }

    /// Every id from the first to the last is there.
    pub fn is_without_hole(&self) -> bool {
        self.last().0 - self.id(0).0 + 1 == self.len() as i64
    }

    /// Index of the first frame after `id`.
    pub fn first_after(&self, id: EventId) -> usize {
        self.marks.partition_point(|mark| mark.id <= id)
    }

    /// Where a frame's chunk is in the bytes.
    pub fn chunk(&self, index: usize) -> Range<usize> {
        let start = index
            .checked_sub(1)
            .map_or(0, |before| self.marks[before].end);
        start as usize..self.marks[index].end as usize
    }

    /// Which frame the byte at `offset` belongs to.
    pub fn frame_at(&self, offset: usize) -> usize {
        self.marks
            .partition_point(|mark| mark.end as usize <= offset)
    }

    /// A frame as `text/event-stream` has it: `id: …\ndata: …\n\n`.
    pub fn sse(&self, index: usize) -> Bytes {
        let chunk = self.chunk(index);
        self.bytes
            .slice(chunk.start + CHUNK_HEAD..chunk.end - CHUNK_END.len())
    }

    /// A copy of one frame alone.
    pub(crate) fn only(&self, index: usize) -> Self {
        let bytes = Bytes::copy_from_slice(&self.bytes[self.chunk(index)]);
        let end = u32::try_from(bytes.len()).expect("shorter than all of them");
        let id = self.id(index);
        Self {
            bytes,
            marks: vec![Mark { id, end }],
        }
    }

    /// Bytes that they hold in memory, about.
    pub fn weight(&self) -> usize {
        self.bytes.len() + self.marks.len() * size_of::<Mark>()
    }
}

/// `0000f\r\n`: always the same length, so that it can be filled in afterwards.
const CHUNK_HEAD: usize = CHUNK_DIGITS + 2;
const CHUNK_DIGITS: usize = 5;
const CHUNK_END: &[u8] = b"\r\n";

/// Collects the frames of one journal.
#[derive(Debug)]
pub struct ChunksBuilder {
    /// `id: <journal>-`
    head: String,
    bytes: Vec<u8>,
    marks: Vec<Mark>,
}

impl ChunksBuilder {
    pub fn new(journal: &str) -> Self {
        Self::in_place_of(journal, None)
    }

    /// In the memory of chunks that nobody needs any more.
    pub fn in_place_of(journal: &str, old: Option<Chunks>) -> Self {
        let (bytes, mut marks) = match old {
            Some(Chunks { bytes, marks }) => (emptied(bytes), marks),
            None => Default::default(),
        };
        marks.clear();
        Self {
            head: format!("id: {journal}-"),
            bytes,
            marks,
        }
    }

    /// For so many more frames and bytes, so that nothing is copied on the way.
    pub fn reserve(&mut self, frames: usize, bytes: usize) {
        self.marks.reserve(frames);
        self.bytes.reserve(bytes);
    }

    /// Says where the JSON has come to be.
    pub fn push(&mut self, id: EventId, write_json: impl FnOnce(&mut Vec<u8>)) -> Range<usize> {
        let bytes = &mut self.bytes;
        let start = bytes.len();
        bytes.extend_from_slice(&[0; CHUNK_HEAD]);
        bytes.extend_from_slice(self.head.as_bytes());
        bytes.extend_from_slice(itoa::Buffer::new().format(id.0).as_bytes());
        bytes.extend_from_slice(b"\ndata: ");
        let json_start = bytes.len();
        // JSON text holds no raw line ends, so one `data:` line is enough.
        write_json(bytes);
        let json = json_start..bytes.len();
        bytes.extend_from_slice(b"\n\n");
        fill_in_head(bytes, start);
        bytes.extend_from_slice(CHUNK_END);
        let end = u32::try_from(bytes.len()).expect("a commit holds less than 4 GiB");
        self.marks.push(Mark { id, end });
        json
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn len(&self) -> usize {
        self.marks.len()
    }

    pub fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    pub fn last(&self) -> Option<EventId> {
        Some(self.marks.last()?.id)
    }

    /// Takes back all but the first `len` frames.
    pub fn truncate(&mut self, len: usize) {
        self.marks.truncate(len);
        let end = self.marks.last().map_or(0, |mark| mark.end);
        self.bytes.truncate(end as usize);
    }

    /// `None` when nothing was pushed.
    pub fn seal(self) -> Option<Chunks> {
        let Self {
            mut bytes,
            mut marks,
            ..
        } = self;
        if marks.is_empty() {
            return None;
        }
        give_back_most(&mut bytes);
        give_back_most(&mut marks);
        Some(Chunks {
            bytes: bytes.into(),
            marks,
        })
    }
}

/// The memory alone; where somebody still sends from it, new memory.
fn emptied(mut bytes: Bytes) -> Vec<u8> {
    if bytes.is_unique() {
        bytes.truncate(0);
        bytes.into()
    } else {
        Vec::new()
    }
}

/// What was taken over from something much larger would stay in memory for long.
pub fn give_back_most<T>(kept: &mut Vec<T>) {
    if kept.capacity() > 2 * kept.len() {
        kept.shrink_to_fit();
    }
}

/// Puts what is no event into an HTTP chunk.
pub fn chunk(text: &str) -> Vec<u8> {
    let mut bytes = vec![0; CHUNK_HEAD];
    bytes.extend_from_slice(text.as_bytes());
    fill_in_head(&mut bytes, 0);
    bytes.extend_from_slice(CHUNK_END);
    bytes
}

fn fill_in_head(bytes: &mut [u8], start: usize) {
    let length = bytes.len() - start - CHUNK_HEAD;
    // One that has more digits is over `EVENT_BYTES_MAX`, and is taken back.
    let head = &mut bytes[start..start + CHUNK_HEAD];
    let (digits, end) = head.split_at_mut(CHUNK_DIGITS);
    for (place, digit) in digits.iter_mut().rev().enumerate() {
        *digit = b"0123456789abcdef"[(length >> (4 * place)) & 0xf];
    }
    end.copy_from_slice(CHUNK_END);
}

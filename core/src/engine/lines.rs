/// The longest line that is kept; the rest of it is cut, visibly.
const LINE_BYTES_MAX: usize = 16 << 10;
const CUT_MARK: &str = " … (line cut at 16 KiB)";

/// Puts lines together from chunks that end anywhere.
#[derive(Debug, Default)]
pub(super) struct LineBuffer {
    bytes: Vec<u8>,
    /// The line is over its limit: the rest of it is passed over.
    cut: bool,
}

impl LineBuffer {
    /// The lines that this chunk completes, without their ends. Of a line that
    /// was drawn over with `\r`, the last drawing is kept.
    pub(super) fn push(&mut self, chunk: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
            let complete = piece.ends_with(b"\n");
            let room = LINE_BYTES_MAX.saturating_sub(self.bytes.len());
            let content = piece.strip_suffix(b"\n").unwrap_or(piece);
            self.cut |= content.len() > room;
            self.bytes
                .extend_from_slice(&content[..content.len().min(room)]);
            if complete {
                lines.extend(self.finish());
            }
        }
        lines
    }

    /// What is left when the stream ends without a line end; and the line just
    /// completed.
    pub(super) fn finish(&mut self) -> Option<String> {
        let bytes = std::mem::take(&mut self.bytes);
        let cut = std::mem::take(&mut self.cut);
        let drawn = bytes.strip_suffix(b"\r").unwrap_or(&bytes);
        let last = drawn.rsplit(|byte| *byte == b'\r').next().unwrap_or(drawn);
        let mut line = String::from_utf8_lossy(last).into_owned();
        if cut {
            line.push_str(CUT_MARK);
        }
        Some(line)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::LineBuffer;

    #[test]
    fn lines_come_whole_wherever_chunks_end() {
        let mut buffer = LineBuffer::default();
        assert_eq!(buffer.push(b"one\ntw"), ["one"]);
        assert_eq!(buffer.push(b"o\n\nthree"), ["two", ""]);
        assert_eq!(buffer.finish().as_deref(), Some("three"));
    }

    #[test]
    fn of_a_line_that_is_drawn_over_the_last_drawing_stays() {
        let mut buffer = LineBuffer::default();
        assert_eq!(buffer.push(b"10%\r50%\r100%\r\ndone\r\n"), ["100%", "done"]);
    }

    #[test]
    fn a_line_without_end_is_cut_visibly_and_bytes_that_are_no_text_do_no_harm() {
        let mut buffer = LineBuffer::default();
        assert!(buffer.push(&[b'x'; 40_000]).is_empty());
        let line = buffer.push(b"more\n").pop().expect("a line");
        assert!(line.len() < 17_000 && line.ends_with("(line cut at 16 KiB)"));
        assert_eq!(buffer.push(b"\xff\xfe\n"), ["\u{fffd}\u{fffd}"]);
    }
}

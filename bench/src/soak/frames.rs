use super::format::{Format, Frame};

/// Finds the frames of a stream that comes in pieces.
#[derive(Debug, Default)]
pub struct Frames {
    /// A frame that is not complete.
    begun: Vec<u8>,
}

impl Frames {
    pub fn take(
        &mut self,
        format: Format,
        bytes: &[u8],
        mut found: impl FnMut(Frame<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.begun.extend_from_slice(bytes);
        let (mut done, end) = (0, format.end());
        while let Some(length) = memchr::memmem::find(&self.begun[done..], end) {
            found(format.read(&self.begun[done..done + length])?)?;
            done += length + end.len();
        }
        self.begun.drain(..done);
        if self.begun.is_empty() {
            // Thousands of these wait at a time.
            self.begun = Vec::new();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Format, Frames};

    #[test]
    fn frames_are_found_wherever_a_stream_is_cut() {
        let sse = "retry: 1\nevent: hello\ndata: {}\n\nid: j-1\ndata: {\"a\": 1}\n\n";
        let lines = "{\"control\":\"hello\"}\n{\"position\":\"j-1\"}\n";
        for (format, stream) in [(Format::Plain, sse), (Format::Ndjson, lines)] {
            for cut in 0..stream.len() {
                let (mut frames, mut found) = (Frames::default(), Vec::new());
                for piece in [&stream[..cut], &stream[cut..]] {
                    let taken = frames.take(format, piece.as_bytes(), |frame| {
                        found.push([frame.position, frame.control].join("|"));
                        Ok(())
                    });
                    taken.expect("frames");
                }
                assert_eq!(found, ["|hello", "j-1|"], "{format:?} cut at {cut}");
            }
        }
    }
}

/// Reads the frames of an event stream that comes in pieces.
#[derive(Debug, Default)]
pub struct Frames {
    /// A frame that is not complete.
    begun: Vec<u8>,
}

/// One frame; what it does not have is empty.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Frame<'b> {
    pub id: &'b str,
    pub event: &'b str,
    pub data: &'b str,
}

impl Frames {
    /// `bytes` may be in HTTP chunks: frames are never cut by them, and their
    /// heads are no field.
    pub fn take<E>(
        &mut self,
        bytes: &[u8],
        mut found: impl FnMut(Frame<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.begun.extend_from_slice(bytes);
        let mut done = 0;
        while let Some(length) = memchr::memmem::find(&self.begun[done..], b"\n\n") {
            let frame = parse(&self.begun[done..done + length]);
            done += length + 2;
            if frame != Frame::default() {
                found(frame)?;
            }
        }
        self.begun.drain(..done);
        if self.begun.is_empty() {
            // Thousands of these wait at a time.
            self.begun = Vec::new();
        }
        Ok(())
    }

    /// The stream has ended; what it began is worth nothing.
    pub fn clear(&mut self) {
        self.begun = Vec::new();
    }
}

fn parse(bytes: &[u8]) -> Frame<'_> {
    let mut frame = Frame::default();
    for line in bytes.split(|byte| *byte == b'\n') {
        let Ok(line) = std::str::from_utf8(line) else {
            continue;
        };
        match line.split_once(": ") {
            Some(("id", id)) => frame.id = id,
            Some(("event", event)) => frame.event = event,
            Some(("data", data)) => frame.data = data,
            _ => {}
        }
    }
    frame
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::Frames;

    #[test]
    fn frames_are_found_wherever_a_stream_is_cut() {
        let stream = "0000b\r\nretry: 1\nevent: hello\ndata: {}\n\n\r\n00012\r\nid: j-1\ndata: {\"a\": 1}\n\n\r\n";
        for cut in 0..stream.len() {
            let (mut frames, mut found) = (Frames::default(), Vec::new());
            for piece in [&stream[..cut], &stream[cut..]] {
                let taken = frames.take(piece.as_bytes(), |frame| {
                    found.push([frame.id, frame.event, frame.data].join("|"));
                    Ok::<_, Infallible>(())
                });
                assert_eq!(taken, Ok(()));
            }
            assert_eq!(found, ["|hello|{}", "j-1||{\"a\": 1}"], "cut at {cut}");
        }
    }
}

use anyhow::{Context, bail, ensure};

use super::{
    STEP_CRITICAL,
    format::{Format, Frame, Request},
    frames::Frames,
    temper::Temper,
};
use crate::message::Scanner;

/// What one client has read, over all its connections. Everything that may not
/// be, is found here.
pub struct Reader {
    pub temper: Temper,
    pub format: Format,
    /// From one of the messages that it wants to the next.
    step: u32,
    /// From where it goes on.
    position: String,
    /// Number of the message that must come next.
    pub next: u32,
    frames: Frames,
    /// `hello` has come on this visit.
    is_greeted: bool,
    pub received: u64,
    pub visits: u32,
}

impl Reader {
    pub fn new(temper: Temper, format: Format, wants_all: bool) -> Self {
        Self {
            temper,
            format,
            step: if wants_all { 1 } else { STEP_CRITICAL },
            position: String::new(),
            next: 0,
            frames: Frames::default(),
            is_greeted: false,
            received: 0,
            visits: 0,
        }
    }

    /// It has got `hello` once: from then on it misses nothing.
    pub fn has_been_let_in(&self) -> bool {
        !self.position.is_empty()
    }

    /// Has seen everything below `end`.
    pub fn has_seen(&self, end: u32) -> bool {
        self.next >= end.next_multiple_of(self.step)
    }

    /// Begins a visit: what the last one has left incomplete is worth nothing.
    pub fn visit(&mut self) -> Request {
        self.visits += 1;
        self.frames = Frames::default();
        self.is_greeted = false;
        let filter = if self.step == 1 {
            ""
        } else {
            "severity=critical"
        };
        self.format.request(filter, &self.position)
    }

    /// What has come of the stream.
    pub fn take(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let mut frames = std::mem::take(&mut self.frames);
        let taken = frames.take(self.format, bytes, |frame| self.take_frame(&frame));
        self.frames = frames;
        taken.with_context(|| {
            let Self {
                temper,
                format,
                visits,
                position,
                ..
            } = self;
            format!("a {temper:?} client of {format:?} on its visit {visits}, after `{position}`")
        })
    }

    fn take_frame(&mut self, frame: &Frame<'_>) -> anyhow::Result<()> {
        let is_hello = frame.control == "hello";
        ensure!(
            is_hello != self.is_greeted,
            "`hello` is the first frame and no other: {frame:?}"
        );
        match frame.control {
            "hello" => self.greet(frame.data)?,
            "" => {
                let mut number = None;
                Scanner::default()
                    .scan(frame.data.as_bytes(), |marked| number = Some(marked.number));
                if let Some(number) = number {
                    self.expect(number)?;
                }
            }
            "bookmark" => {}
            other => bail!("gets a frame `{other}`: {}", frame.data),
        }
        if !frame.position.is_empty() {
            frame.position.clone_into(&mut self.position);
        }
        Ok(())
    }

    fn greet(&mut self, hello: &str) -> anyhow::Result<()> {
        self.is_greeted = true;
        let hello: serde_json::Value = serde_json::from_str(hello)?;
        let is_resume = !self.position.is_empty();
        if is_resume && hello["resumed"] != true {
            bail!("is not resumed: {hello}");
        }
        Ok(())
    }

    fn expect(&mut self, number: u32) -> anyhow::Result<()> {
        if self.received == 0 && !self.temper.reads() {
            // Nobody has waited for it: its first `hello` may have come in the middle.
            self.next = number;
        }
        if number != self.next {
            let what = if number > self.next {
                "lost"
            } else {
                "doubled or misordered"
            };
            bail!("{what}: message {number} comes where {} is next", self.next);
        }
        self.next += self.step;
        self.received += 1;
        Ok(())
    }
}

use std::{
    io::{self, Read, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use mio::{Interest, Registry, Token, net::TcpStream};
use rand::{Rng, rngs::StdRng};
use rustix::net::sockopt;

use super::{
    STEP_CRITICAL,
    frames::{Frame, Frames},
};
use crate::message::Scanner;

/// What a slow one reads each second.
const SLOW_BYTES: usize = 400;
const RECEIVE_BUFFER: usize = 4096;

/// How a client behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Temper {
    /// Stays, and comes back whenever the server was away.
    Steady,
    /// Leaves and comes back as it likes, and goes on where it was.
    Wanderer,
    /// Reads a few hundred bytes a second.
    Slow,
    /// Never reads; after a while it is gone, without a word.
    Stuck,
    /// Asks, and does not wait for the answer.
    Vanisher,
}

/// One client, over all its connections.
pub struct Client {
    pub temper: Temper,
    /// From one of the messages that it wants to the next.
    step: u32,
    link: Link,
    /// When it leaves or comes back, or reads if it is slow.
    due: Instant,
    /// Of the last frame that had an id.
    last_id: String,
    /// Number of the message that must come next.
    pub next: u32,
    frames: Frames,
    pub received: u64,
    pub visits: u32,
}

enum Link {
    Away,
    /// The request has not been sent.
    Connecting(TcpStream),
    /// The request has been sent, the head of the answer has not come.
    Asking(TcpStream, Vec<u8>),
    Open(TcpStream),
}

impl Client {
    pub fn new(temper: Temper, wants_all: bool) -> Self {
        Self {
            temper,
            step: if wants_all { 1 } else { STEP_CRITICAL },
            link: Link::Away,
            due: Instant::now(),
            last_id: String::new(),
            next: 0,
            frames: Frames::default(),
            received: 0,
            visits: 0,
        }
    }

    /// Nothing that was published may be missing at the end.
    pub fn must_see_all(&self) -> bool {
        matches!(self.temper, Temper::Steady | Temper::Wanderer)
    }

    /// What it gets is looked at, if not at once.
    pub fn reads(&self) -> bool {
        self.must_see_all() || self.temper == Temper::Slow
    }

    /// It has got `hello` once: from then on it misses nothing.
    pub fn has_been_let_in(&self) -> bool {
        !self.last_id.is_empty()
    }

    /// Has seen everything below `end`.
    pub fn has_seen(&self, end: u32) -> bool {
        self.next >= end.next_multiple_of(self.step)
    }

    /// Does what is due by now.
    pub fn act(
        &mut self,
        server: SocketAddr,
        registry: &Registry,
        token: Token,
        rng: &mut StdRng,
    ) -> anyhow::Result<()> {
        let now = Instant::now();
        if now < self.due {
            return Ok(());
        }
        match (&self.link, self.temper) {
            (Link::Away, _) => self.connect(server, registry, token, rng)?,
            (_, Temper::Slow) => {
                self.due = now + Duration::from_secs(1);
                self.read(SLOW_BYTES, rng)?;
            }
            (_, Temper::Steady) => self.due = now + Duration::from_secs(3600),
            (_, Temper::Wanderer | Temper::Stuck | Temper::Vanisher) => self.leave(rng),
        }
        Ok(())
    }

    /// Its socket has moved.
    pub fn moved(&mut self, rng: &mut StdRng) -> anyhow::Result<()> {
        self.ask(rng);
        match self.temper {
            Temper::Steady | Temper::Wanderer => self.read(usize::MAX, rng),
            // Until it is let in; then it reads when it likes.
            Temper::Slow if !matches!(self.link, Link::Open(_)) => self.read(SLOW_BYTES, rng),
            Temper::Slow | Temper::Stuck | Temper::Vanisher => Ok(()),
        }
    }

    /// The server is gone: those who would not notice are told.
    pub fn lose(&mut self, rng: &mut StdRng) {
        if !self.must_see_all() {
            self.leave(rng);
        }
    }

    /// To be there at the end.
    pub fn stay(&mut self) {
        if self.temper == Temper::Wanderer {
            self.temper = Temper::Steady;
        }
    }

    fn connect(
        &mut self,
        server: SocketAddr,
        registry: &Registry,
        token: Token,
        rng: &mut StdRng,
    ) -> anyhow::Result<()> {
        let mut socket = TcpStream::connect(server)?;
        // However it ends, its port can be used again at once.
        sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
        if matches!(self.temper, Temper::Slow | Temper::Stuck) {
            sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER)?;
        }
        registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        self.link = Link::Connecting(socket);
        self.visits += 1;
        let stays_ms = match self.temper {
            Temper::Steady => 3_600_000,
            Temper::Wanderer => rng.random_range(200..20_000),
            Temper::Slow => 1_000,
            Temper::Stuck => rng.random_range(5_000..60_000),
            Temper::Vanisher => rng.random_range(0..100),
        };
        self.due = Instant::now() + Duration::from_millis(stays_ms);
        Ok(())
    }

    /// Sends the request once the connection is there.
    fn ask(&mut self, rng: &mut StdRng) {
        let Link::Connecting(socket) = &mut self.link else {
            return;
        };
        let filter = if self.step == 1 {
            ""
        } else {
            "?severity=critical"
        };
        let resume = match self.last_id.as_str() {
            "" => String::new(),
            id => format!("last-event-id: {id}\r\n"),
        };
        let request = crate::http::get(
            &format!("/api/events{filter}"),
            &format!("accept: text/event-stream\r\n{resume}"),
        );
        match socket.write(request.as_bytes()) {
            Ok(_) => {
                if let Link::Connecting(socket) = std::mem::replace(&mut self.link, Link::Away) {
                    self.link = Link::Asking(socket, Vec::new());
                }
            }
            Err(error) if is_not_yet(&error) => {}
            // There is no server just now.
            Err(_) => self.leave(rng),
        }
    }

    /// Reads up to `limit` bytes.
    fn read(&mut self, limit: usize, rng: &mut StdRng) -> anyhow::Result<()> {
        let (mut buffer, mut left) = ([0; 16 << 10], limit);
        while left > 0 {
            let socket = match &mut self.link {
                Link::Asking(socket, _) | Link::Open(socket) => socket,
                Link::Away | Link::Connecting(_) => return Ok(()),
            };
            let room = left.min(buffer.len());
            match socket.read(&mut buffer[..room]) {
                Ok(0) => {
                    self.leave(rng);
                    return Ok(());
                }
                Ok(read) => {
                    left -= read;
                    self.take(&buffer[..read])?;
                }
                Err(error) if is_not_yet(&error) => return Ok(()),
                Err(_) => {
                    self.leave(rng);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        if let Link::Asking(_, head) = &mut self.link {
            head.extend_from_slice(bytes);
            let Some(end) = memchr::memmem::find(head, b"\r\n\r\n") else {
                return Ok(());
            };
            if !head.starts_with(b"HTTP/1.1 200") {
                bail!("a client is sent away: {}", String::from_utf8_lossy(head));
            }
            let rest = head.split_off(end + 4);
            if let Link::Asking(socket, _) = std::mem::replace(&mut self.link, Link::Away) {
                self.link = Link::Open(socket);
            }
            return self.take_frames(&rest);
        }
        self.take_frames(bytes)
    }

    fn take_frames(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let mut frames = std::mem::take(&mut self.frames);
        let taken = frames.take(bytes, |frame| self.take_frame(&frame));
        self.frames = frames;
        taken.with_context(|| {
            let Self {
                temper,
                visits,
                last_id,
                ..
            } = self;
            format!("a {temper:?} client on its visit {visits}, after `{last_id}`")
        })
    }

    /// Everything that may not be, is found here.
    fn take_frame(&mut self, frame: &Frame<'_>) -> anyhow::Result<()> {
        match frame.event {
            "hello" => {
                let hello: serde_json::Value = serde_json::from_str(frame.data)?;
                if !self.last_id.is_empty() && hello["resumed"] != true {
                    bail!("is not resumed: {hello}");
                }
                if self.last_id.is_empty() {
                    let head = hello["head"].as_str().context("a head in `hello`")?;
                    self.last_id = head.to_owned();
                }
            }
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
        if !frame.id.is_empty() {
            frame.id.clone_into(&mut self.last_id);
        }
        Ok(())
    }

    fn expect(&mut self, number: u32) -> anyhow::Result<()> {
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

    /// Closes the connection, whatever is pending, and comes back later.
    fn leave(&mut self, rng: &mut StdRng) {
        self.link = Link::Away;
        self.frames.clear();
        let away_ms = match self.temper {
            Temper::Steady | Temper::Slow => rng.random_range(20..1_000),
            Temper::Wanderer | Temper::Stuck | Temper::Vanisher => rng.random_range(20..5_000),
        };
        self.due = Instant::now() + Duration::from_millis(away_ms);
    }
}

fn is_not_yet(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected | io::ErrorKind::Interrupted
    )
}

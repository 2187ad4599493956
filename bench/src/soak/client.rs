use std::{
    io::{self, Read, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::bail;
use mio::{Interest, Registry, Token, net::TcpStream};
use rand::rngs::StdRng;
use rustix::net::sockopt;

use super::{
    chunks::Chunks,
    format::Request,
    reader::Reader,
    temper::{SLOW_BYTES, Temper},
};

const RECEIVE_BUFFER: usize = 4096;

/// One client over HTTP/1.1, with one connection after the other.
pub struct Client {
    pub reader: Reader,
    link: Link,
    /// When it leaves or comes back, or reads if it is slow.
    due: Instant,
}

enum Link {
    Away,
    /// The request has not been sent.
    Connecting(TcpStream),
    /// The request has been sent, the head of the answer has not come.
    Asking(TcpStream, Vec<u8>),
    Open(TcpStream, Chunks),
}

impl Client {
    pub fn new(reader: Reader) -> Self {
        Self {
            reader,
            link: Link::Away,
            due: Instant::now(),
        }
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
        match (&self.link, self.reader.temper) {
            (Link::Away, _) => self.connect(server, registry, token, rng)?,
            (_, Temper::Slow) => {
                self.due = now + Duration::from_secs(1);
                self.read(SLOW_BYTES, rng)?;
            }
            (_, Temper::Steady | Temper::Wanderer | Temper::Stuck | Temper::Vanisher) => {
                self.leave(rng);
            }
        }
        Ok(())
    }

    /// Its socket has moved.
    pub fn moved(&mut self, rng: &mut StdRng) -> anyhow::Result<()> {
        self.ask(rng);
        match self.reader.temper {
            Temper::Steady | Temper::Wanderer => self.read(usize::MAX, rng),
            // Until it is let in; then it reads when it likes.
            Temper::Slow if !matches!(self.link, Link::Open(..)) => self.read(SLOW_BYTES, rng),
            Temper::Slow | Temper::Stuck | Temper::Vanisher => Ok(()),
        }
    }

    /// The server is gone: those who would not notice are told.
    pub fn lose(&mut self, rng: &mut StdRng) {
        if !self.reader.temper.must_see_all() {
            self.leave(rng);
        }
    }

    fn connect(
        &mut self,
        server: SocketAddr,
        registry: &Registry,
        token: Token,
        rng: &mut StdRng,
    ) -> anyhow::Result<()> {
        let temper = self.reader.temper;
        let mut socket = TcpStream::connect(server)?;
        // However it ends, its port can be used again at once.
        sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
        if matches!(temper, Temper::Slow | Temper::Stuck) {
            sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER)?;
        }
        registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        self.link = Link::Connecting(socket);
        self.due = match temper {
            Temper::Slow => Instant::now() + Duration::from_secs(1),
            other => Instant::now() + other.stays(rng),
        };
        Ok(())
    }

    /// Sends the request once the connection is there.
    fn ask(&mut self, rng: &mut StdRng) {
        let Link::Connecting(socket) = &mut self.link else {
            return;
        };
        let Request { path, headers } = self.reader.visit();
        let lines = headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"));
        let request = crate::http::get(&path, &lines.collect::<String>());
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
                Link::Asking(socket, _) | Link::Open(socket, _) => socket,
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
        let Self { reader, link, .. } = self;
        match link {
            Link::Away | Link::Connecting(_) => Ok(()),
            Link::Open(_, chunks) => chunks.take(bytes, |data| reader.take(data)),
            Link::Asking(_, head) => {
                head.extend_from_slice(bytes);
                let Some(end) = memchr::memmem::find(head, b"\r\n\r\n") else {
                    return Ok(());
                };
                if !head.starts_with(b"HTTP/1.1 200") {
                    bail!("a client is sent away: {}", String::from_utf8_lossy(head));
                }
                let body = head.split_off(end + 4);
                if let Link::Asking(socket, _) = std::mem::replace(link, Link::Away) {
                    *link = Link::Open(socket, Chunks::BEGIN);
                }
                self.take(&body)
            }
        }
    }

    /// Closes the connection, whatever is pending, and comes back later.
    fn leave(&mut self, rng: &mut StdRng) {
        self.link = Link::Away;
        self.due = Instant::now() + self.reader.temper.is_away(rng);
    }
}

fn is_not_yet(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::NotConnected | io::ErrorKind::Interrupted
    )
}

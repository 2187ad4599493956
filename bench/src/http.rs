//! Requests: one at a time and its answer, or the same one as fast as it is
//! answered.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use mio::{Events, Interest, Poll, Token};

use crate::{
    load::{Seen, Span},
    process::{Cpu, Process},
};

const PATIENCE: Duration = Duration::from_secs(30);
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// A connection that is kept, with one request at a time.
pub struct Connection(TcpStream);

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Connection {
    pub fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(stream))
    }

    pub fn ask(&mut self, request: &str) -> anyhow::Result<Answer> {
        self.0.write_all(request.as_bytes())?;
        let mut bytes = Vec::new();
        loop {
            if let Some(answer) = parse(&bytes)? {
                return Ok(answer);
            }
            let mut buffer = [0; 64 << 10];
            match self.0.read(&mut buffer)? {
                0 => bail!("the answer breaks off"),
                read => bytes.extend_from_slice(&buffer[..read]),
            }
        }
    }

    pub fn get(&mut self, path: &str) -> anyhow::Result<Answer> {
        let answer = self.ask(&get(path, ""))?;
        if answer.status != 200 {
            let said = String::from_utf8_lossy(&answer.body);
            bail!("GET {path} is answered with {}: {said}", answer.status);
        }
        Ok(answer)
    }

    /// The socket, to read what has no end.
    pub fn into_stream(self) -> TcpStream {
        self.0
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim())
    }
}

/// A request without a body; `headers` end in line ends.
pub fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n")
}

/// A request with JSON.
pub fn send(method: &str, path: &str, json: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{json}",
        json.len()
    )
}

fn parse(bytes: &[u8]) -> anyhow::Result<Option<Answer>> {
    let Some((head, body)) = split_head(bytes)? else {
        return Ok(None);
    };
    let length = body_length(head);
    Ok((body.len() >= length).then(|| Answer {
        status: status(head),
        head: head.to_owned(),
        body: body[..length].to_vec(),
    }))
}

fn split_head(bytes: &[u8]) -> anyhow::Result<Option<(&str, &[u8])>> {
    let Some(end) = memchr::memmem::find(bytes, END_OF_HEAD) else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&bytes[..end]).context("a head in UTF-8")?;
    Ok(Some((head, &bytes[end + END_OF_HEAD.len()..])))
}

/// Of the request that these bytes begin with, once all of it is there.
pub fn request_length(bytes: &[u8]) -> Option<usize> {
    let (head, body) = split_head(bytes).ok()??;
    let length = body_length(head);
    (body.len() >= length).then(|| bytes.len() - body.len() + length)
}

fn status(head: &str) -> u16 {
    let status = head.split(' ').nth(1);
    status.and_then(|status| status.parse().ok()).unwrap_or(0)
}

fn body_length(head: &str) -> usize {
    if status(head) == 304 {
        return 0;
    }
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    let length = lines.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    length
        .and_then(|(_, length)| length.trim().parse().ok())
        .unwrap_or(0)
}

/// Asks the same on many connections as fast as it is answered; `deliveries`
/// are answers with this status.
pub fn closed_loop(
    address: SocketAddr,
    request: &str,
    expected: u16,
    process: &Process,
    span: Span,
) -> anyhow::Result<Seen> {
    let mut asking = Asking::connect(address, request, expected)?;
    asking.run(span.warm_up)?;
    let (before, began) = (process.cpu()?, Instant::now());
    let (answers, bytes) = (asking.answers, asking.bytes);
    asking.run(span.measured)?;
    let after: Cpu = process.cpu()?;
    Ok(Seen {
        deliveries: asking.answers - answers,
        bytes: asking.bytes - bytes,
        seconds: began.elapsed().as_secs_f64(),
        cpu: after.since(&before),
    })
}

const CONNECTIONS: usize = 50;

struct Asking<'r> {
    poll: Poll,
    request: &'r [u8],
    expected: u16,
    connections: Vec<Waiting>,
    buffer: Vec<u8>,
    answers: u64,
    bytes: u64,
}

/// One connection.
struct Waiting {
    socket: mio::net::TcpStream,
    /// Of the answer, until its head is complete.
    head: Vec<u8>,
    /// Bytes of the body that are still to come, once the head is known.
    left: Option<usize>,
}

impl<'r> Asking<'r> {
    fn connect(address: SocketAddr, request: &'r str, expected: u16) -> anyhow::Result<Self> {
        let poll = Poll::new()?;
        let mut connections = Vec::new();
        for key in 0..CONNECTIONS {
            let mut stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.write_all(request.as_bytes())?;
            stream.set_nonblocking(true)?;
            let mut socket = mio::net::TcpStream::from_std(stream);
            let registry = poll.registry();
            registry.register(&mut socket, Token(key), Interest::READABLE)?;
            connections.push(Waiting {
                socket,
                head: Vec::new(),
                left: None,
            });
        }
        Ok(Self {
            poll,
            request: request.as_bytes(),
            expected,
            connections,
            buffer: vec![0; 512 << 10],
            answers: 0,
            bytes: 0,
        })
    }

    fn run(&mut self, time: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + time;
        let mut events = Events::with_capacity(CONNECTIONS);
        while Instant::now() < end {
            self.poll
                .poll(&mut events, Some(Duration::from_millis(100)))?;
            for event in &events {
                self.read(event.token().0)?;
            }
        }
        Ok(())
    }

    fn read(&mut self, key: usize) -> anyhow::Result<()> {
        let connection = &mut self.connections[key];
        loop {
            let read = match connection.socket.read(&mut self.buffer) {
                Ok(0) => bail!("a connection that was to be kept is closed"),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error.into()),
            };
            self.bytes += read as u64;
            if !connection.take(&self.buffer[..read], self.expected)? {
                continue;
            }
            self.answers += 1;
            connection.socket.write_all(self.request)?;
        }
    }
}

impl Waiting {
    /// Says whether the answer is complete.
    fn take(&mut self, bytes: &[u8], expected: u16) -> anyhow::Result<bool> {
        let mut come = bytes.len();
        if self.left.is_none() {
            self.head.extend_from_slice(bytes);
            let Some((head, body)) = split_head(&self.head)? else {
                return Ok(false);
            };
            if status(head) != expected {
                bail!("{expected} was expected, and this came: {head}");
            }
            (self.left, come) = (Some(body_length(head)), body.len());
            self.head.clear();
        }
        let left = self.left.map_or(0, |left| left.saturating_sub(come));
        self.left = (left > 0).then_some(left);
        Ok(left == 0)
    }
}

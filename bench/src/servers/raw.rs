//! The physical limit: an epoll loop that does nothing but `send()` bytes that
//! were made once to every socket.

use std::io::{self, Read, Write};

use anyhow::Context;
use mio::{
    Events, Interest, Poll, Token,
    event::Event,
    net::{TcpListener, TcpStream},
};
use slab::Slab;

const HTTP: Token = Token(usize::MAX);
const CONTROL: Token = Token(usize::MAX - 1);
const PUBLISHER: Token = Token(usize::MAX - 2);

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
    cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n";

struct Raw {
    poll: Poll,
    http: TcpListener,
    control: TcpListener,
    publisher: Option<TcpStream>,
    /// What was received of a batch that is not complete.
    incoming: Vec<u8>,
    subscribers: Slab<Subscriber>,
    /// Bytes that somebody still has to be sent, from `base` on.
    frames: Vec<u8>,
    base: u64,
    next_id: u32,
    scratch: Vec<u8>,
}

struct Subscriber {
    socket: TcpStream,
    request: Vec<u8>,
    /// `None` until it has asked.
    sent: Option<u64>,
    /// The socket will say when it takes more.
    is_full: bool,
}

/// Serves until it is killed.
pub fn run() -> anyhow::Result<()> {
    let poll = Poll::new()?;
    let any = "127.0.0.1:0".parse()?;
    let (mut http, mut control) = (TcpListener::bind(any)?, TcpListener::bind(any)?);
    let registry = poll.registry();
    registry.register(&mut http, HTTP, Interest::READABLE)?;
    registry.register(&mut control, CONTROL, Interest::READABLE)?;
    println!("http {}", http.local_addr()?);
    println!("control {}", control.local_addr()?);
    let mut raw = Raw {
        poll,
        http,
        control,
        publisher: None,
        incoming: Vec::new(),
        subscribers: Slab::new(),
        frames: Vec::new(),
        base: 0,
        next_id: 0,
        scratch: vec![0; 256 << 10],
    };
    let mut events = Events::with_capacity(1024);
    loop {
        raw.poll.poll(&mut events, None)?;
        for event in &events {
            match event.token() {
                HTTP => raw.accept_subscribers()?,
                CONTROL => raw.accept_publisher()?,
                PUBLISHER => raw.take_batches()?,
                Token(key) => raw.subscriber_moved(key, event),
            }
        }
    }
}

impl Raw {
    fn accept_subscribers(&mut self) -> anyhow::Result<()> {
        while let Some((socket, _)) = ready(self.http.accept())? {
            socket.set_nodelay(true)?;
            let key = self.subscribers.insert(Subscriber {
                socket,
                request: Vec::new(),
                sent: None,
                is_full: false,
            });
            let interest = Interest::READABLE | Interest::WRITABLE;
            let socket = &mut self.subscribers[key].socket;
            self.poll
                .registry()
                .register(socket, Token(key), interest)?;
        }
        Ok(())
    }

    fn accept_publisher(&mut self) -> anyhow::Result<()> {
        while let Some((mut socket, _)) = ready(self.control.accept())? {
            socket.set_nodelay(true)?;
            let registry = self.poll.registry();
            registry.register(&mut socket, PUBLISHER, Interest::READABLE)?;
            self.publisher = Some(socket);
        }
        Ok(())
    }

    fn take_batches(&mut self) -> anyhow::Result<()> {
        let publisher = self.publisher.as_mut().context("a publisher")?;
        while let Some(read) = ready(publisher.read(&mut self.scratch))? {
            if read == 0 {
                self.publisher = None;
                return Ok(());
            }
            self.incoming.extend_from_slice(&self.scratch[..read]);
        }
        let mut answers = Vec::new();
        while let Some(texts) = take_batch(&mut self.incoming)? {
            answers.extend((texts.len() as u32).to_le_bytes());
            for text in texts {
                self.append(text)?;
            }
        }
        self.send_to_all();
        if let Some(publisher) = &mut self.publisher {
            publisher.write_all(&answers)?;
        }
        Ok(())
    }

    /// As tiny-forge's frames are: one HTTP chunk each.
    fn append(&mut self, text: String) -> io::Result<()> {
        self.next_id += 1;
        let json = super::json(self.next_id, text);
        let frame = format!("id: j0123456789abcdef-{}\ndata: {json}\n\n", self.next_id);
        write!(self.frames, "{:05x}\r\n{frame}\r\n", frame.len())
    }

    fn send_to_all(&mut self) {
        let end = self.base + self.frames.len() as u64;
        let mut slowest = end;
        let (base, frames) = (self.base, &self.frames);
        self.subscribers.retain(|_, subscriber| {
            let is_there = subscriber.send(base, frames).is_ok();
            slowest = slowest.min(subscriber.sent.unwrap_or(end));
            is_there
        });
        self.frames.drain(..(slowest - base) as usize);
        self.base = slowest;
    }

    fn subscriber_moved(&mut self, key: usize, event: &Event) {
        let (base, end) = (self.base, self.base + self.frames.len() as u64);
        let Some(subscriber) = self.subscribers.get_mut(key) else {
            return;
        };
        let mut moved = Ok(());
        if event.is_readable() {
            moved = subscriber.read(end);
        }
        subscriber.is_full &= !event.is_writable();
        if moved
            .and_then(|()| subscriber.send(base, &self.frames))
            .is_err()
        {
            self.subscribers.remove(key);
        }
    }
}

impl Subscriber {
    fn read(&mut self, end: u64) -> io::Result<()> {
        let mut buffer = [0; 1024];
        while let Some(read) = ready(self.socket.read(&mut buffer))? {
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.request.extend_from_slice(&buffer[..read]);
        }
        if self.sent.is_none() && self.request.ends_with(b"\r\n\r\n") {
            self.socket.write_all(HEAD)?;
            self.sent = Some(end);
            self.request = Vec::new();
        }
        Ok(())
    }

    /// As much as the socket takes.
    fn send(&mut self, base: u64, frames: &[u8]) -> io::Result<()> {
        let Some(sent) = &mut self.sent else {
            return Ok(());
        };
        while let rest = &frames[(*sent - base) as usize..]
            && !rest.is_empty()
            && !self.is_full
        {
            match ready(self.socket.write(rest))? {
                Some(taken) => *sent += taken as u64,
                None => self.is_full = true,
            }
        }
        Ok(())
    }
}

/// The texts of a batch, once all of it is there.
fn take_batch(incoming: &mut Vec<u8>) -> anyhow::Result<Option<Vec<String>>> {
    let Some((texts, used)) = parse_batch(incoming)? else {
        return Ok(None);
    };
    incoming.drain(..used);
    Ok(Some(texts))
}

fn parse_batch(bytes: &[u8]) -> anyhow::Result<Option<(Vec<String>, usize)>> {
    let Some((count, mut rest)) = number(bytes) else {
        return Ok(None);
    };
    let mut texts = Vec::new();
    for _ in 0..count {
        let Some((length, after)) = number(rest) else {
            return Ok(None);
        };
        let Some((text, after)) = after.get(1..).and_then(|it| it.split_at_checked(length)) else {
            return Ok(None);
        };
        texts.push(String::from_utf8(text.to_vec())?);
        rest = after;
    }
    Ok(Some((texts, bytes.len() - rest.len())))
}

fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (digits, rest) = bytes.split_first_chunk()?;
    Some((u32::from_le_bytes(*digits) as usize, rest))
}

/// `None` when there is nothing to be had now.
fn ready<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

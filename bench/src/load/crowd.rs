use std::{
    io::{self, Read, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use mio::{Events, Interest, Poll, Token, net::TcpStream};
use rustix::net::sockopt;

use crate::{
    message::{Marked, Scanner},
    publisher::Publisher,
};

const PUBLISHER: Token = Token(usize::MAX);

/// Requests under way while subscribers connect: fewer than any server's backlog.
const KNOCKING_MAX: usize = 64;

const PATIENCE: Duration = Duration::from_secs(30);

/// All subscribers, on one thread.
pub struct Crowd {
    poll: Poll,
    events: Option<Events>,
    subscribers: Vec<Subscriber>,
    buffer: Vec<u8>,
    /// Subscribers whose response has begun.
    open: usize,
    pub tally: Tally,
    /// Times are counted from here, in µs.
    began: Instant,
    publisher_registered: bool,
}

struct Subscriber {
    socket: TcpStream,
    is_greeted: bool,
    /// What was found of the end of the response's head, up to all of it.
    head: usize,
    scanner: Scanner,
    /// Number of the message that is to come next.
    next: u32,
    /// Messages that were passed over and have not come since.
    missing: u32,
    is_dead: bool,
}

/// What has come, over all subscribers.
#[derive(Debug, Default)]
pub struct Tally {
    pub deliveries: u64,
    pub bytes: u64,
    pub lost: u64,
    pub misordered: u64,
    pub doubled: u64,
    pub dead: u64,
    /// In µs, while they are wanted.
    pub latencies: Option<Vec<u32>>,
}

impl Tally {
    pub fn is_clean(&self) -> bool {
        self.lost + self.misordered + self.doubled + self.dead == 0
    }

    pub fn faults(&self) -> String {
        let Self {
            lost,
            misordered,
            doubled,
            dead,
            ..
        } = self;
        format!("{lost} lost, {misordered} misordered, {doubled} doubled, {dead} dead")
    }
}

impl Crowd {
    /// Connects `count` subscribers and waits until each has its response.
    pub fn connect(address: SocketAddr, path: &str, count: usize) -> anyhow::Result<Self> {
        let mut crowd = Self {
            poll: Poll::new()?,
            events: Some(Events::with_capacity(1024)),
            subscribers: Vec::with_capacity(count),
            buffer: vec![0; 256 << 10],
            open: 0,
            tally: Tally::default(),
            began: Instant::now(),
            publisher_registered: false,
        };
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: text/event-stream\r\n\r\n");
        while crowd.subscribers.len() < count {
            crowd.add(address, &request)?;
            crowd.wait_until_open(crowd.subscribers.len().saturating_sub(KNOCKING_MAX))?;
        }
        crowd.wait_until_open(count)?;
        Ok(crowd)
    }

    pub fn len(&self) -> usize {
        self.subscribers.len()
    }

    /// Time on the clock that messages carry, in µs.
    pub fn now_us(&self) -> u32 {
        self.us_at(Instant::now())
    }

    pub fn us_at(&self, time: Instant) -> u32 {
        (time - self.began).as_micros() as u32
    }

    /// Waits for something to come, and takes all of it.
    pub fn turn(
        &mut self,
        publisher: &mut Publisher,
        timeout: Option<Duration>,
    ) -> anyhow::Result<()> {
        if !self.publisher_registered {
            let interest = Interest::READABLE | Interest::WRITABLE;
            let registry = self.poll.registry();
            registry.register(&mut publisher.stream, PUBLISHER, interest)?;
            self.publisher_registered = true;
        }
        if self.look(timeout)? {
            publisher.receive(|_, _| {})?;
            publisher.flush()?;
        }
        Ok(())
    }

    /// Says whether the publisher's connection has moved.
    fn look(&mut self, timeout: Option<Duration>) -> anyhow::Result<bool> {
        let mut events = self.events.take().context("one turn at a time")?;
        let polled = self.poll.poll(&mut events, timeout);
        let mut publisher_moved = false;
        for event in &events {
            match event.token() {
                PUBLISHER => publisher_moved = true,
                Token(key) => self.read(key),
            }
        }
        self.events = Some(events);
        match polled {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error.into()),
            _ => Ok(publisher_moved),
        }
    }

    fn add(&mut self, address: SocketAddr, request: &str) -> anyhow::Result<()> {
        let mut stream = std::net::TcpStream::connect(address).with_context(|| {
            format!(
                "cannot connect subscriber {} to {address}; `ulimit -n` must allow as many",
                self.subscribers.len()
            )
        })?;
        // Leaves no port behind that nobody may use for a minute.
        sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
        stream.write_all(request.as_bytes())?;
        stream.set_nonblocking(true)?;
        let mut socket = TcpStream::from_std(stream);
        let token = Token(self.subscribers.len());
        let registry = self.poll.registry();
        registry.register(&mut socket, token, Interest::READABLE)?;
        self.subscribers.push(Subscriber {
            socket,
            is_greeted: false,
            head: 0,
            scanner: Scanner::default(),
            next: 0,
            missing: 0,
            is_dead: false,
        });
        Ok(())
    }

    fn wait_until_open(&mut self, count: usize) -> anyhow::Result<()> {
        let began = Instant::now();
        while self.open < count {
            self.look(Some(Duration::from_millis(100)))?;
            if self.tally.dead > 0 || began.elapsed() > PATIENCE {
                bail!(
                    "of {count} subscribers {} were let in and {} sent away: are its limits high enough?",
                    self.open,
                    self.tally.dead
                );
            }
        }
        Ok(())
    }

    /// Until the socket has no more.
    fn read(&mut self, key: usize) {
        let now = self.tally.latencies.is_some().then(|| self.now_us());
        let Self {
            subscribers,
            buffer,
            open,
            tally,
            ..
        } = self;
        let subscriber = &mut subscribers[key];
        while !subscriber.is_dead {
            match subscriber.socket.read(buffer) {
                Ok(0) => subscriber.is_dead = true,
                Ok(read) => {
                    tally.bytes += read as u64;
                    let mut bytes = &buffer[..read];
                    if subscriber.head < END_OF_HEAD.len() {
                        bytes = subscriber.pass_head(bytes);
                        *open += usize::from(subscriber.head == END_OF_HEAD.len());
                    }
                    subscriber.count(bytes, tally, now);
                    // Less than there was room for: that was all.
                    if read < buffer.len() {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => subscriber.is_dead = true,
            }
        }
        tally.dead += 1;
    }
}

const END_OF_HEAD: &[u8] = b"\r\n\r\n";

impl Subscriber {
    /// What follows the head of a response that is good.
    fn pass_head<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        if !std::mem::replace(&mut self.is_greeted, true) && !bytes.starts_with(b"HTTP/1.1 200") {
            self.is_dead = true;
            return &[];
        }
        for (at, byte) in bytes.iter().enumerate() {
            self.head = match *byte {
                byte if byte == END_OF_HEAD[self.head] => self.head + 1,
                b'\r' => 1,
                _ => 0,
            };
            if self.head == END_OF_HEAD.len() {
                return &bytes[at + 1..];
            }
        }
        &[]
    }

    fn count(&mut self, bytes: &[u8], tally: &mut Tally, now: Option<u32>) {
        let Self {
            scanner,
            next,
            missing,
            ..
        } = self;
        scanner.scan(bytes, |Marked { number, note }| {
            tally.deliveries += 1;
            if number == *next {
                *next += 1;
            } else if number > *next {
                *missing += number - *next;
                tally.lost += u64::from(number - *next);
                *next = number + 1;
            } else if *missing > 0 {
                *missing -= 1;
                tally.lost -= 1;
                tally.misordered += 1;
            } else {
                tally.doubled += 1;
            }
            if let (Some(now), Some(latencies)) = (now, &mut tally.latencies) {
                latencies.push(now.saturating_sub(note));
            }
        });
    }
}

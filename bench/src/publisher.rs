//! One connection that publishes as fast as the server takes it, and counts
//! what the server has acknowledged.

use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use mio::net::TcpStream;

use crate::message::Message;

/// How a server is told what to publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Batches, as `core/examples/hub.rs` describes them.
    Control,
    /// nchan's: a `POST` each.
    Nchan,
}

pub struct Publisher {
    pub stream: TcpStream,
    dialect: Dialect,
    /// What the socket has not taken yet.
    outgoing: Vec<u8>,
    /// What was received of an answer that is not complete.
    incoming: Vec<u8>,
    /// Batches without an answer, oldest first.
    unanswered: VecDeque<Batch>,
    pub acknowledged: u64,
}

struct Batch {
    count: u32,
    since: Instant,
}

impl Publisher {
    pub fn connect(address: SocketAddr, dialect: Dialect) -> anyhow::Result<Self> {
        let stream = std::net::TcpStream::connect(address)
            .with_context(|| format!("cannot publish to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream: TcpStream::from_std(stream),
            dialect,
            outgoing: Vec::new(),
            incoming: Vec::new(),
            unanswered: VecDeque::new(),
            acknowledged: 0,
        })
    }

    /// Sends a batch that was due at `since`; never waits.
    pub fn publish(&mut self, batch: &[Message], since: Instant) -> anyhow::Result<()> {
        match self.dialect {
            Dialect::Control => {
                write_control(&mut self.outgoing, batch);
                let count = batch.len() as u32;
                self.unanswered.push_back(Batch { count, since });
            }
            Dialect::Nchan => {
                for message in batch {
                    write_post(&mut self.outgoing, message)?;
                    let count = 1;
                    self.unanswered.push_back(Batch { count, since });
                }
            }
        }
        self.flush()
    }

    /// Sends what was left.
    pub fn flush(&mut self) -> anyhow::Result<()> {
        let mut taken = 0;
        while taken < self.outgoing.len() {
            match self.stream.write(&self.outgoing[taken..]) {
                Ok(0) => bail!("the server does not take what is published"),
                Ok(more) => taken += more,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error).context("the server does not let us publish"),
            }
        }
        self.outgoing.drain(..taken);
        Ok(())
    }

    /// Takes what the server has answered; `answered` gets how many messages
    /// were acknowledged at once, and how long that took.
    pub fn receive(&mut self, mut answered: impl FnMut(u32, Duration)) -> anyhow::Result<()> {
        let mut buffer = [0; 16 << 10];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => bail!("the server does not let us publish any more"),
                Ok(read) => self.incoming.extend_from_slice(&buffer[..read]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error).context("no answer to what was published"),
            }
        }
        let answers = match self.dialect {
            Dialect::Control => take_control_answers(&mut self.incoming),
            Dialect::Nchan => take_http_answers(&mut self.incoming)?,
        };
        let now = Instant::now();
        for _ in 0..answers {
            let batch = self.unanswered.pop_front();
            let batch = batch.context("an answer to nothing that was published")?;
            self.acknowledged += u64::from(batch.count);
            answered(batch.count, now - batch.since);
        }
        Ok(())
    }

    pub fn is_idle(&self) -> bool {
        self.unanswered.is_empty()
    }

    /// Batches that wait for their answer.
    pub fn under_way(&self) -> usize {
        self.unanswered.len()
    }
}

fn write_control(outgoing: &mut Vec<u8>, batch: &[Message]) {
    outgoing.extend((batch.len() as u32).to_le_bytes());
    for message in batch {
        let text = message.text();
        outgoing.extend((text.len() as u32).to_le_bytes());
        outgoing.push(message.severity());
        outgoing.extend(text.as_bytes());
    }
}

fn write_post(outgoing: &mut Vec<u8>, message: &Message) -> io::Result<()> {
    let json = crate::servers::json(message.marked.number, message.text());
    write!(
        outgoing,
        "POST /publish HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{json}",
        json.len()
    )
}

fn take_control_answers(incoming: &mut Vec<u8>) -> usize {
    let answers = incoming.len() / size_of::<u32>();
    incoming.drain(..answers * size_of::<u32>());
    answers
}

/// Complete heads are counted; what follows them is passed over.
fn take_http_answers(incoming: &mut Vec<u8>) -> anyhow::Result<usize> {
    const START: &[u8] = b"HTTP/1.1 ";
    let (mut answers, mut done) = (0, 0);
    for at in memchr::memmem::find_iter(incoming, START) {
        let Some(status) = incoming.get(at + START.len()) else {
            break;
        };
        if *status != b'2' {
            let said = String::from_utf8_lossy(&incoming[at..]).into_owned();
            bail!("publishing was refused: {said}");
        }
        answers += 1;
        done = at + START.len() + 1;
    }
    // A start may be cut in two.
    let keep = incoming.len().saturating_sub(START.len());
    incoming.drain(..done.max(keep));
    Ok(answers)
}

use std::{
    any::Any,
    io::{self, IoSlice, Read, Write},
    time::Duration,
};

use bytes::{Buf, Bytes};
use mio::net::TcpStream;
use socket2::SockRef;
use tiny_forge_model::EventId;

use crate::chunks::chunk;

/// A client that has taken nothing for so long is cut off: it has vanished, or
/// can resume.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the kernel keeps for a client that does not read, besides its overhead.
const SOCKET_BYTES: usize = 256 << 10;

/// What a client may send after its request, which nobody reads.
const CHATTER_BYTES_MAX: usize = 64 << 10;

/// One event stream.
pub struct Subscriber {
    pub number: u64,
    /// Number of its filter.
    pub filter: usize,
    pub place: Place,
    /// Its position among the live ones with the same filter.
    pub member: usize,
    pub sent_bytes: u64,
    pub socket: TcpStream,
    /// What remains of a frame that the socket has cut in two, or of a control
    /// frame: goes first.
    rest: Bytes,
    chatter_bytes: usize,
    _guard: Box<dyn Any + Send>,
}

/// How far a subscriber is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// As far as its thread; only these are sent what is new.
    Live,
    /// Everything up to here was sent or did not match.
    Behind(EventId),
    /// The same, and the next page of the journal is being read.
    Reading { after: EventId, ticket: u64 },
    /// The same, and that page is not wanted any more: of each there is one at a time.
    Outdated { after: EventId, ticket: u64 },
}

impl Place {
    /// Everything up to there was sent or did not match; the thread is at `cursor`.
    pub fn after(self, cursor: EventId) -> EventId {
        match self {
            Self::Live => cursor,
            Self::Behind(after) | Self::Reading { after, .. } | Self::Outdated { after, .. } => {
                after
            }
        }
    }
}

/// The connection is no more.
pub struct Closed;

impl Subscriber {
    pub fn new(
        number: u64,
        socket: std::net::TcpStream,
        filter: usize,
        after: EventId,
        opening: &str,
        guard: Box<dyn Any + Send>,
    ) -> Self {
        limit(&socket);
        Self {
            number,
            filter,
            place: Place::Behind(after),
            member: 0,
            sent_bytes: 0,
            socket: TcpStream::from_std(socket),
            rest: chunk(opening).into(),
            chatter_bytes: 0,
            _guard: guard,
        }
    }

    /// Sends what was left before. `false` while the socket takes no more.
    pub fn flush(&mut self) -> Result<bool, Closed> {
        while !self.rest.is_empty() {
            let rest = std::mem::take(&mut self.rest);
            let taken = self.write(&[IoSlice::new(&rest)])?;
            self.rest = rest;
            if taken == 0 {
                return Ok(false);
            }
            self.rest.advance(taken);
        }
        // Lets go of its memory.
        self.rest = Bytes::new();
        Ok(true)
    }

    /// Sends what it can; the bytes that the socket has taken.
    pub fn write(&mut self, slices: &[IoSlice<'_>]) -> Result<usize, Closed> {
        loop {
            let written = match slices {
                [one] => self.socket.write(one),
                many => self.socket.write_vectored(many),
            };
            return match written {
                Ok(0) => Err(Closed),
                Ok(taken) => {
                    self.sent_bytes += taken as u64;
                    Ok(taken)
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => Err(Closed),
            };
        }
    }

    pub fn has_rest(&self) -> bool {
        !self.rest.is_empty()
    }

    /// To be sent before anything else.
    pub fn keep(&mut self, rest: Bytes) {
        self.rest = rest;
    }

    /// Throws away what the client says, and notices that it has left.
    pub fn listen(&mut self) -> Result<(), Closed> {
        let mut scratch = [0; 1024];
        loop {
            match self.socket.read(&mut scratch) {
                Ok(0) => return Err(Closed),
                Ok(read) => {
                    self.chatter_bytes += read;
                    if self.chatter_bytes > CHATTER_BYTES_MAX {
                        return Err(Closed);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(Closed),
            }
        }
    }

    /// Ends the response, if the socket takes that at once.
    pub fn finish(mut self, farewell: &str) {
        if matches!(self.flush(), Ok(true)) {
            let mut last = chunk(farewell);
            last.extend_from_slice(b"0\r\n\r\n");
            // Nothing depends on it: the client resumes either way.
            let _ = self.write(&[IoSlice::new(&last)]);
        }
    }
}

/// Without it, a client would be as quick and cost more when it is stuck.
fn limit(socket: &std::net::TcpStream) {
    let socket = SockRef::from(socket);
    let limited = socket
        .set_tcp_user_timeout(Some(PATIENCE))
        .and_then(|()| socket.set_send_buffer_size(SOCKET_BYTES));
    if let Err(error) = limited {
        tracing::debug!(%error, "a socket has the system's own limits");
    }
}

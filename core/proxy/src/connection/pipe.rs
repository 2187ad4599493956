//! The bytes of one direction that have been read and not yet written.

use std::{
    io,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncReadExt, AsyncWrite},
    net::TcpStream,
};

/// Read at a time. Nothing more is read before all of it is written, so this is
/// also what a connection keeps at most in one direction.
const CHUNK_BYTES: usize = 32 << 10;

#[derive(Debug, Default)]
pub struct Pipe {
    bytes: Vec<u8>,
    /// Bytes that may be written.
    released: usize,
    written: usize,
    end: End,
}

/// How far the end of a direction has come.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum End {
    #[default]
    Open,
    /// The source has said all.
    Seen,
    /// And the other side has been told.
    PassedOn,
    /// The other side takes no more; the source is no longer read.
    Refused,
}

impl Pipe {
    pub fn with(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            ..Self::default()
        }
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub const fn has_released(&self) -> bool {
        self.written < self.released
    }

    pub const fn end(&self) -> End {
        self.end
    }

    /// Bytes that may not be written yet.
    pub fn held(&self) -> &[u8] {
        &self.bytes[self.released..]
    }

    pub fn into_held(mut self) -> Vec<u8> {
        self.bytes.split_off(self.released)
    }

    pub fn release(&mut self, count: usize) {
        self.released = (self.released + count).min(self.bytes.len());
    }

    pub const fn is_done(&self) -> bool {
        matches!(self.end, End::PassedOn | End::Refused)
    }

    /// The other side takes no more.
    pub fn refuse(&mut self) {
        *self = Self {
            end: End::Refused,
            ..Self::default()
        };
    }

    /// Another source takes the place of the one that has ended.
    pub const fn reopen(&mut self) {
        self.end = End::Open;
    }

    /// Reads more, once there is room; 0 where the source has ended.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut TcpStream,
    ) -> Poll<io::Result<usize>> {
        self.bytes.reserve_exact(CHUNK_BYTES);
        let read = pin!(source.read_buf(&mut self.bytes)).poll(cx);
        if read.is_pending() && self.bytes.is_empty() {
            // A connection that waits keeps no memory.
            self.bytes = Vec::new();
        }
        let count = ready!(read)?;
        if count == 0 {
            self.end = End::Seen;
        }
        Poll::Ready(Ok(count))
    }

    /// Writes what is released until nothing of it is left.
    pub fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        target: &mut TcpStream,
    ) -> Poll<io::Result<()>> {
        while self.has_released() {
            let slice = &self.bytes[self.written..self.released];
            self.written += ready!(Pin::new(&mut *target).poll_write(cx, slice))?;
        }
        if self.released == self.bytes.len() {
            self.bytes.clear();
            self.released = 0;
            self.written = 0;
        }
        Poll::Ready(Ok(()))
    }

    /// Tells the other side that the source has ended.
    pub fn poll_pass_on_end(
        &mut self,
        cx: &mut Context<'_>,
        target: &mut TcpStream,
    ) -> Poll<io::Result<()>> {
        ready!(Pin::new(target).poll_shutdown(cx))?;
        self.end = End::PassedOn;
        Poll::Ready(Ok(()))
    }
}

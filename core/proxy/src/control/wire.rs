//! Lines of JSON over a Unix socket, and file descriptors with them.

use std::{
    collections::VecDeque,
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use rustix::{
    cmsg_space,
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{io::Interest, net::UnixStream, time::timeout};

use super::protocol::{Hello, Mismatch};

/// Of one message. The list of all routes is the longest there is.
const LINE_BYTES_MAX: usize = 8 << 20;

const CHUNK_BYTES: usize = 16 << 10;

/// For a hello, which both sides send unasked.
const HELLO_PATIENCE: Duration = Duration::from_secs(5);

pub struct Wire {
    stream: UnixStream,
    /// What has come and was not asked for yet.
    inbox: Vec<u8>,
    /// In the order of the messages that they came with.
    descriptors: VecDeque<OwnedFd>,
}

#[derive(Debug, thiserror::Error)]
pub enum WireError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the other side has closed the connection")]
    Closed,
    #[error("the other side did not answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    #[error("the other side said what this program does not understand: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("the other side sent a message of more than {LINE_BYTES_MAX} bytes")]
    TooLong,
    #[error("a file descriptor was announced and did not come")]
    NoDescriptor,
    #[error(transparent)]
    Mismatch(#[from] Mismatch),
}

impl Wire {
    pub const fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            inbox: Vec::new(),
            descriptors: VecDeque::new(),
        }
    }

    /// Says hello and hears it.
    pub async fn greet(&mut self) -> Result<Hello, WireError> {
        self.send(&Hello::ours()).await?;
        let hello: Hello = within(HELLO_PATIENCE, self.receive()).await?;
        Ok(hello.check()?)
    }

    pub async fn send(&self, message: &impl Serialize) -> Result<(), WireError> {
        self.send_line(message, None).await
    }

    pub async fn send_with(
        &self,
        message: &impl Serialize,
        descriptor: impl AsFd,
    ) -> Result<(), WireError> {
        self.send_line(message, Some(descriptor.as_fd())).await
    }

    async fn send_line(
        &self,
        message: &impl Serialize,
        descriptor: Option<BorrowedFd<'_>>,
    ) -> Result<(), WireError> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        self.write(&line, descriptor).await
    }

    /// As they are; the message before has said how many.
    pub async fn send_bytes(&self, bytes: &[u8]) -> Result<(), WireError> {
        self.write(bytes, None).await
    }

    async fn write(
        &self,
        bytes: &[u8],
        mut descriptor: Option<BorrowedFd<'_>>,
    ) -> Result<(), WireError> {
        let mut sent = 0;
        while sent < bytes.len() {
            let write = || send_once(&self.stream, &bytes[sent..], descriptor);
            sent += self.stream.async_io(Interest::WRITABLE, write).await?;
            // It went with the first bytes.
            descriptor = None;
        }
        Ok(())
    }

    /// The next message. Nothing is lost when this is dropped half-way.
    pub async fn receive<T: DeserializeOwned>(&mut self) -> Result<T, WireError> {
        let mut searched = 0;
        loop {
            let mut unsearched = self.inbox[searched..].iter();
            if let Some(end) = unsearched.position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.inbox.drain(..=searched + end).collect();
                return Ok(serde_json::from_slice(&line)?);
            }
            searched = self.inbox.len();
            if searched > LINE_BYTES_MAX {
                return Err(WireError::TooLong);
            }
            self.fill().await?;
        }
    }

    /// What was sent with `send_bytes`.
    pub async fn receive_bytes(&mut self, count: usize) -> Result<Vec<u8>, WireError> {
        if count > LINE_BYTES_MAX {
            return Err(WireError::TooLong);
        }
        while self.inbox.len() < count {
            self.fill().await?;
        }
        Ok(self.inbox.drain(..count).collect())
    }

    /// The descriptor that came with the last message.
    pub fn descriptor(&mut self) -> Result<OwnedFd, WireError> {
        self.descriptors.pop_front().ok_or(WireError::NoDescriptor)
    }

    async fn fill(&mut self) -> Result<(), WireError> {
        let Self {
            stream,
            inbox,
            descriptors,
        } = self;
        let read = || receive_once(stream, inbox, descriptors);
        match stream.async_io(Interest::READABLE, read).await? {
            0 => Err(WireError::Closed),
            _ => Ok(()),
        }
    }
}

pub async fn within<T>(
    patience: Duration,
    answer: impl Future<Output = Result<T, WireError>>,
) -> Result<T, WireError> {
    let timely = timeout(patience, answer).await;
    timely.map_err(|_| WireError::TimedOut(patience))?
}

fn send_once(
    stream: &UnixStream,
    bytes: &[u8],
    descriptor: Option<BorrowedFd<'_>>,
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if descriptor.is_some() {
        control.push(SendAncillaryMessage::ScmRights(descriptor.as_slice()));
    }
    let slices = [IoSlice::new(bytes)];
    Ok(sendmsg(stream, &slices, &mut control, SendFlags::NOSIGNAL)?)
}

fn receive_once(
    stream: &UnixStream,
    inbox: &mut Vec<u8>,
    descriptors: &mut VecDeque<OwnedFd>,
) -> io::Result<usize> {
    let mut bytes = [0; CHUNK_BYTES];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut slices = [IoSliceMut::new(&mut bytes)];
    let received = recvmsg(stream, &mut slices, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    inbox.extend_from_slice(&bytes[..received.bytes]);
    Ok(received.bytes)
}

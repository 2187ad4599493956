//! Takes the socket away from hyper as soon as the head of an HTTP/1.1 response
//! has been sent: hyper routes and answers, somebody else writes the body.
//!
//! The response gets a [`TakeoverBody`]. hyper asks it for data after it has
//! encoded the head; then it flushes. That is the moment.

use std::{
    convert::Infallible,
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, sync::Notify};

/// What is done with a socket whose head has been sent.
type Claim = Box<dyn FnOnce(std::net::TcpStream) + Send>;

/// A connection that may be taken over: an extension of each of its requests.
#[derive(Clone, Default)]
pub struct Takeover(Arc<Shared>);

#[derive(Default)]
struct Shared {
    claim: Mutex<Option<Claim>>,
    taken: Notify,
}

impl Takeover {
    /// Resolves when the socket is gone; what is left of the connection is to
    /// be dropped then. A client that has sent more requests behind the one
    /// for the stream will not be answered.
    pub async fn taken(&self) {
        self.0.taken.notified().await;
    }

    fn claim(&self) -> std::sync::MutexGuard<'_, Option<Claim>> {
        self.0.claim.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A body that hyper never gets: it waits until the socket is taken.
pub struct TakeoverBody {
    connection: Takeover,
    claim: Option<Claim>,
}

impl TakeoverBody {
    /// `claim` is dropped uncalled when the client leaves before.
    pub fn new(
        connection: Takeover,
        claim: impl FnOnce(std::net::TcpStream) + Send + 'static,
    ) -> Self {
        Self {
            connection,
            claim: Some(Box::new(claim)),
        }
    }
}

impl Body for TakeoverBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(claim) = self.claim.take() {
            *self.connection.claim() = Some(claim);
        }
        Poll::Pending
    }
}

impl Drop for TakeoverBody {
    fn drop(&mut self) {
        // Claimed, and the connection ends before the head was sent.
        self.connection.claim().take();
    }
}

/// hyper's way to the socket, until it is taken.
pub struct Socket {
    stream: Option<TokioIo<TcpStream>>,
    takeover: Takeover,
}

impl Socket {
    pub fn new(stream: TcpStream, takeover: Takeover) -> Self {
        Self {
            stream: Some(TokioIo::new(stream)),
            takeover,
        }
    }

    fn stream(&mut self) -> Option<Pin<&mut TokioIo<TcpStream>>> {
        self.stream.as_mut().map(Pin::new)
    }

    /// hyper flushes the socket only when it has written all that it had.
    fn hand_over(&mut self) {
        let Some(claim) = self.takeover.claim().take() else {
            return;
        };
        let Some(stream) = self.stream.take() else {
            return;
        };
        match stream.into_inner().into_std() {
            Ok(stream) => claim(stream),
            Err(error) => tracing::warn!(%error, "a socket could not be taken over"),
        }
        self.takeover.0.taken.notify_one();
    }
}

impl Read for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        match self.stream() {
            Some(stream) => stream.poll_read(cx, buf),
            None => Poll::Pending,
        }
    }
}

impl Write for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.stream() {
            Some(stream) => stream.poll_write(cx, buf),
            None => Poll::Pending,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(stream) = self.stream() {
            std::task::ready!(stream.poll_flush(cx))?;
            self.hand_over();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.stream() {
            Some(stream) => stream.poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream
            .as_ref()
            .is_some_and(|stream| stream.is_write_vectored())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.stream() {
            Some(stream) => stream.poll_write_vectored(cx, bufs),
            None => Poll::Pending,
        }
    }
}

//! Accepts connections and speaks HTTP/1.1 and cleartext HTTP/2 on them.

mod takeover;

use std::{
    convert::Infallible,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{FromRequestParts, Request},
    http::{Method, Version, request::Parts},
};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioTimer},
    server::conn::auto::Builder,
};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use takeover::Socket;
pub use takeover::{Takeover, TakeoverBody};

/// A client has this long for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// A client that acknowledges nothing for so long has vanished.
const GONE_AFTER: Duration = Duration::from_secs(60);
/// One with nothing to acknowledge is asked over HTTP/2.
const ASKED_EVERY: Duration = Duration::from_secs(30);
/// Waits for a client that does not read, besides a chunk; of HTTP/1.1, no head of a
/// request is longer, either.
const WAITING_BYTES_MAX: usize = 64 << 10;
/// What is still under way this long after `stopping` is given up.
const GRACE: Duration = Duration::from_millis(1_500);
/// Pause when there is no descriptor left for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The other end of the connection that a request came by.
#[derive(Debug, Clone, Copy)]
struct Client(IpAddr);

/// What a handler may know of the connection.
pub struct Connection {
    pub client: IpAddr,
    /// The response may be written straight to the socket.
    pub takeover: Option<Takeover>,
}

impl<S: Sync> FromRequestParts<S> for Connection {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // Chunked bodies are HTTP/1.1's, and an answer to HEAD has none.
        let can_be_taken = parts.version == Version::HTTP_11 && parts.method == Method::GET;
        let extensions = &parts.extensions;
        Ok(Self {
            client: extensions
                .get::<Client>()
                .map_or(Ipv4Addr::LOCALHOST.into(), |client| client.0),
            takeover: extensions.get().filter(|_| can_be_taken).cloned(),
        })
    }
}

/// Serves until `stopping`; ends when the last request has been answered, or will not
/// be: a client may never take an answer.
pub async fn serve(listener: TcpListener, router: Router, stopping: CancellationToken) {
    let (connections, given_up) = (TaskTracker::new(), CancellationToken::new());
    loop {
        let accepted = tokio::select! {
            () = stopping.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, client)) => {
                let served = connection(stream, client, router.clone(), stopping.clone());
                connections.spawn(given_up.clone().run_until_cancelled_owned(served));
            }
            Err(error) => pause(error).await,
        }
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(GRACE, connections.wait())
        .await
        .is_err()
    {
        tracing::debug!(left = connections.len(), "connections are given up");
        given_up.cancel();
        connections.wait().await;
    }
}

/// A client that has gone already is nothing; no descriptors is a state that passes.
async fn pause(error: io::Error) {
    if matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    ) {
        return;
    }
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

async fn connection(
    stream: TcpStream,
    client: SocketAddr,
    router: Router,
    stopping: CancellationToken,
) {
    let limited = SockRef::from(&stream).set_tcp_user_timeout(Some(GONE_AFTER));
    if let Err(error) = limited.and_then(|()| stream.set_nodelay(true)) {
        tracing::debug!(%error, "a connection was lost before its first request");
        return;
    }
    let takeover = Takeover::default();
    let socket = Socket::new(stream, takeover.clone());
    let requests = takeover.clone();
    let has_spoken = Arc::new(AtomicBool::new(false));
    let spoken = has_spoken.clone();
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        spoken.store(true, Ordering::Relaxed);
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Client(client.ip()));
        request.extensions_mut().insert(requests.clone());
        router.clone().oneshot(request)
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(WAITING_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_send_buf_size(WAITING_BYTES_MAX)
        .keep_alive_interval(ASKED_EVERY)
        .keep_alive_timeout(ASKED_EVERY);
    let mut served = pin!(builder.serve_connection(socket, service));
    let mut silence = pin!(tokio::time::sleep(HEAD_TIMEOUT));
    let mut is_stopping = false;
    let is_silent = || !has_spoken.load(Ordering::Relaxed);
    loop {
        // In this order: a socket is taken while the connection is polled.
        tokio::select! {
            biased;
            ended = served.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, %client, "a connection broke off");
                }
                return;
            }
            () = takeover.taken() => return,
            // Which version it speaks is read without a clock.
            () = silence.as_mut(), if is_silent() => if is_silent() { return },
            () = stopping.cancelled(), if !is_stopping => {
                is_stopping = true;
                served.as_mut().graceful_shutdown();
            }
        }
    }
}

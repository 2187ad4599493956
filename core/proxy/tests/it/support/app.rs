//! An app that says which of its versions has answered.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, StatusCode, body::Incoming, header, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

use super::address;

pub struct App {
    pub address: SocketAddr,
    inner: Arc<Inner>,
    task: JoinSet<()>,
}

struct Inner {
    version: usize,
    served: AtomicU64,
    /// What is asked of `/slow` is answered when this is so.
    is_released: watch::Sender<bool>,
    upgraded: Mutex<JoinSet<()>>,
}

impl App {
    pub async fn start(version: usize) -> Self {
        Self::start_at(version, address()).await
    }

    pub async fn start_at(version: usize, address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.expect("a port");
        let inner = Arc::new(Inner {
            version,
            served: AtomicU64::new(0),
            is_released: watch::Sender::new(false),
            upgraded: Mutex::default(),
        });
        let mut task = JoinSet::new();
        task.spawn(accept(listener, inner.clone()));
        Self {
            address,
            inner,
            task,
        }
    }

    /// Requests that it has begun to answer.
    pub fn served(&self) -> u64 {
        self.inner.served.load(Ordering::SeqCst)
    }

    pub fn release(&self) {
        self.inner.is_released.send_replace(true);
    }

    /// At once, whatever is under way.
    pub async fn stop(mut self) {
        self.task.shutdown().await;
    }
}

async fn accept(listener: TcpListener, app: Arc<Inner>) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        let app = app.clone();
        let service = service_fn(move |request| answer(request, app.clone()));
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        connections.spawn(async move {
            // Its client tells how it ended.
            let _ = connection.with_upgrades().await;
        });
    }
}

/// `VERSION LENGTH`: who has answered, and how long the request's body was.
async fn answer(
    mut request: Request<Incoming>,
    app: Arc<Inner>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    app.served.fetch_add(1, Ordering::SeqCst);
    if request.headers().contains_key(header::UPGRADE) {
        let upgrade = hyper::upgrade::on(&mut request);
        app.upgraded.lock().expect("no panic").spawn(echo(upgrade));
        return Ok(switching());
    }
    if request.uri().path() == "/slow" {
        let mut released = app.is_released.subscribe();
        released.wait_for(|it| *it).await.expect("the app runs");
    }
    let body = request.into_body().collect().await;
    let length = body.map_or(0, |body| body.to_bytes().len());
    let text = format!("{} {length}", app.version);
    Ok(Response::new(Full::from(text)))
}

fn switching() -> Response<Full<Bytes>> {
    let builder = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
    let builder = builder.header(header::CONNECTION, "upgrade");
    let response = builder
        .header(header::UPGRADE, "echo")
        .body(Full::default());
    response.expect("a response")
}

async fn echo(upgrade: hyper::upgrade::OnUpgrade) {
    let Ok(upgraded) = upgrade.await else { return };
    let (mut read, mut write) = tokio::io::split(TokioIo::new(upgraded));
    // Its client tells how it ended.
    let _ = tokio::io::copy(&mut read, &mut write).await;
}

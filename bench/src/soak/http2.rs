use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use h2::client::SendRequest;
use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::{
    net::TcpStream,
    sync::oneshot,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    format::Request,
    reader::Reader,
    temper::{SLOW_BYTES, Temper},
};

/// Clients on one connection.
const STREAMS: usize = 10;
/// What a stream brings that nobody reads; a connection has room for all of these.
const STREAM_WINDOW: u32 = 16 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;

type Body = h2::RecvStream;
type Requests = SendRequest<bytes::Bytes>;

/// Clients over HTTP/2 without TLS, on a thread of their own: some on each
/// connection, which goes now and then with all of them.
pub struct Http2 {
    readers: Vec<Shared>,
    thread: Option<Thread>,
    stop: oneshot::Sender<()>,
}

type Thread = thread::JoinHandle<anyhow::Result<()>>;

#[derive(Clone)]
struct Shared(Arc<Mutex<Reader>>);

impl Http2 {
    pub fn start(
        server: SocketAddr,
        readers: Vec<Reader>,
        rng: &mut StdRng,
    ) -> anyhow::Result<Self> {
        let shared = |reader| Shared(Arc::new(Mutex::new(reader)));
        let readers: Vec<Shared> = readers.into_iter().map(shared).collect();
        let connections: Vec<_> = readers
            .chunks(STREAMS)
            .map(|clients| stay_connected(server, clients.to_vec(), StdRng::from_rng(rng)))
            .collect();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("http2".to_owned());
        let thread = thread.spawn(move || runtime.block_on(serve(connections, stopped)))?;
        Ok(Self {
            readers,
            thread: Some(thread),
            stop,
        })
    }

    pub fn readers(&self) -> impl Iterator<Item = MutexGuard<'_, Reader>> {
        self.readers.iter().map(Shared::lock)
    }

    /// They end by themselves only where something is wrong.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self.thread.take_if(|thread| thread.is_finished()) {
            Some(thread) => join(thread),
            None => Ok(()),
        }
    }

    pub fn stop(self) -> anyhow::Result<()> {
        drop(self.stop);
        self.thread.map_or(Ok(()), join)
    }
}

fn join(thread: Thread) -> anyhow::Result<()> {
    thread
        .join()
        .ok()
        .context("the thread of HTTP/2 panicked")?
}

async fn serve(
    connections: Vec<impl Future<Output = anyhow::Result<Infallible>> + Send + 'static>,
    stopped: oneshot::Receiver<()>,
) -> anyhow::Result<()> {
    let mut connections: JoinSet<_> = connections.into_iter().collect();
    tokio::select! {
        _ = stopped => Ok(()),
        Some(ended) = connections.join_next() => match ended?? {},
    }
}

/// The same clients on one connection after the other.
async fn stay_connected(
    server: SocketAddr,
    clients: Vec<Shared>,
    mut rng: StdRng,
) -> anyhow::Result<Infallible> {
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(STREAM_WINDOW);
    builder.initial_connection_window_size(CONNECTION_WINDOW);
    loop {
        // There may be no server just now.
        if let Ok(stream) = TcpStream::connect(server).await
            && let Ok((requests, connection)) = builder.handshake(stream).await
        {
            let mut visitors = JoinSet::new();
            for client in &clients {
                let rng = StdRng::from_rng(&mut rng);
                visitors.spawn(come_and_go(client.clone(), requests.clone(), rng));
            }
            tokio::select! {
                _ = connection => {}
                () = sleep(Duration::from_millis(rng.random_range(5_000..120_000))) => {}
                Some(ended) = visitors.join_next() => match ended?? {},
            }
        }
        sleep(Duration::from_millis(rng.random_range(20..1_000))).await;
    }
}

/// One client, for as long as the connection is there.
async fn come_and_go(
    client: Shared,
    requests: Requests,
    mut rng: StdRng,
) -> anyhow::Result<Infallible> {
    let temper = client.lock().temper;
    loop {
        let visit = client.visit(temper, requests.clone());
        if let Ok(Err(error)) = timeout(temper.stays(&mut rng), visit).await {
            match error.downcast_ref::<h2::Error>() {
                None => return Err(error),
                Some(error) if error.is_reset() => bail!("a stream is broken off: {error}"),
                // The connection is over, and ends this, too.
                Some(_) => std::future::pending().await,
            }
        }
        sleep(temper.is_away(&mut rng)).await;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Reader> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Until the stream ends.
    async fn visit(&self, temper: Temper, requests: Requests) -> anyhow::Result<()> {
        let mut requests = requests.ready().await?;
        let Request { path, headers } = self.lock().visit();
        let mut request = http::Request::get(format!("http://localhost{path}"));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let (answer, _) = requests.send_request(request.body(())?, true)?;
        let answer = answer.await?;
        let status = answer.status();
        ensure!(status == 200, "a client over HTTP/2 is sent away: {status}");
        let mut body: Body = answer.into_body();
        if temper == Temper::Stuck {
            return std::future::pending().await;
        }
        while let Some(bytes) = body.data().await.transpose()? {
            self.lock().take(&bytes).context("over HTTP/2")?;
            if temper == Temper::Slow {
                sleep(Duration::from_secs(1) * bytes.len() as u32 / SLOW_BYTES as u32).await;
            }
            body.flow_control().release_capacity(bytes.len())?;
        }
        Ok(())
    }
}

use std::{
    future,
    io::Result,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use memchr::memmem;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy},
    net::{TcpListener, TcpStream, UnixStream},
    task::JoinSet,
};

/// Stands between a server and an engine, and can cut them apart.
pub struct Proxy {
    pub address: String,
    port: u16,
    socket: PathBuf,
    keeps_output: Arc<AtomicBool>,
    connections: JoinSet<()>,
}

impl Proxy {
    pub async fn to(engine: &str) -> Self {
        let socket = engine.strip_prefix("unix://").expect("a socket");
        let mut proxy = Self {
            address: String::new(),
            port: 0,
            socket: Path::new(socket).to_owned(),
            keeps_output: Arc::default(),
            connections: JoinSet::new(),
        };
        proxy.mend().await;
        proxy.address = format!("tcp://127.0.0.1:{}", proxy.port);
        proxy
    }

    /// Breaks all connections; new ones are refused.
    pub async fn cut(&mut self) {
        self.connections.shutdown().await;
    }

    pub async fn mend(&mut self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await;
        let listener = listener.expect("the port is ours");
        self.port = listener.local_addr().expect("bound").port();
        let keeps_output = self.keeps_output.clone();
        self.connections
            .spawn(forward(listener, self.socket.clone(), keeps_output));
    }

    /// From now on nobody gets the output of a container, nor an answer that says so.
    pub fn keep_output(&self) {
        self.keeps_output.store(true, Ordering::Relaxed);
    }
}

async fn forward(listener: TcpListener, socket: PathBuf, keeps_output: Arc<AtomicBool>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let (socket, keeps_output) = (socket.clone(), keeps_output.clone());
        connections.spawn(async move {
            if let Ok(engine) = UnixStream::connect(socket).await {
                let _ = connect(client, engine, &keeps_output).await;
            }
        });
    }
}

async fn connect(
    mut client: TcpStream,
    mut engine: UnixStream,
    keeps_output: &AtomicBool,
) -> Result<()> {
    let (mut requests, mut to_client) = client.split();
    let (mut answers, mut to_engine) = engine.split();
    let asking = async {
        let mut bytes = [0; 16 << 10];
        loop {
            let length = requests.read(&mut bytes).await?;
            if length == 0 {
                return to_engine.shutdown().await;
            }
            let asked = &bytes[..length];
            if keeps_output.load(Ordering::Relaxed) && memmem::find(asked, b"/logs?").is_some() {
                future::pending::<()>().await;
            }
            to_engine.write_all(asked).await?;
        }
    };
    let answering = async {
        copy(&mut answers, &mut to_client).await?;
        to_client.shutdown().await
    };
    tokio::try_join!(asking, answering).map(drop)
}

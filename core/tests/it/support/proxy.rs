use std::path::{Path, PathBuf};

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, UnixStream},
    task::JoinSet,
};

/// Stands between a server and an engine, and can cut them apart.
pub struct Proxy {
    pub address: String,
    port: u16,
    socket: PathBuf,
    connections: JoinSet<()>,
}

impl Proxy {
    pub async fn to(engine: &str) -> Self {
        let socket = engine.strip_prefix("unix://").expect("a socket");
        let mut proxy = Self {
            address: String::new(),
            port: 0,
            socket: Path::new(socket).to_owned(),
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
        self.connections
            .spawn(forward(listener, self.socket.clone()));
    }
}

async fn forward(listener: TcpListener, socket: PathBuf) {
    let mut connections = JoinSet::new();
    while let Ok((mut client, _)) = listener.accept().await {
        let socket = socket.clone();
        connections.spawn(async move {
            if let Ok(mut engine) = UnixStream::connect(socket).await {
                let _ = copy_bidirectional(&mut client, &mut engine).await;
            }
        });
    }
}

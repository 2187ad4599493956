use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{server::Server, sse::PATIENCE};

/// A client that reads only when it is told to.
pub struct Raw {
    pub socket: TcpStream,
    /// What has come so far, heads and chunk sizes too.
    pub text: String,
}

impl Raw {
    pub async fn connect(server: &Server) -> Self {
        let socket = TcpStream::connect(server.address()).await;
        Self {
            socket: socket.expect("connected"),
            text: String::new(),
        }
    }

    pub async fn open(server: &Server, path: &str) -> Self {
        let mut client = Self::connect(server).await;
        client.ask(path).await;
        client
    }

    pub async fn ask(&mut self, path: &str) {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let sent = self.socket.write_all(request.as_bytes()).await;
        sent.expect("sent");
    }

    /// Reads on until this has come.
    pub async fn until(&mut self, last: &str) {
        let mut buffer = vec![0; 1 << 20];
        while !self.text.contains(last) {
            let read = tokio::time::timeout(PATIENCE, self.socket.read(&mut buffer)).await;
            let read = read.expect("in time").expect("read");
            assert_ne!(read, 0, "the stream goes on");
            let text = std::str::from_utf8(&buffer[..read]).expect("ASCII");
            self.text.push_str(text);
        }
    }

    /// Of the events that have come, bookmarks apart.
    pub fn ids(&self) -> Vec<i64> {
        let frames = self.text.split("\n\n");
        let events = frames.filter(|frame| !frame.contains("event: "));
        let ids = events.filter_map(|frame| {
            let id = frame.lines().find_map(|line| line.strip_prefix("id: "))?;
            id.rsplit('-').next()?.parse().ok()
        });
        ids.collect()
    }
}

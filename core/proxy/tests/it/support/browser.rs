//! A client that keeps one connection, and notices all that goes wrong on it.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpStream,
};

pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub struct Browser {
    stream: BufReader<Box<dyn Stream>>,
    /// Whom it asks for.
    host: String,
}

/// What the app says: which version it is, and how long the request's body was.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub version: usize,
    pub length: usize,
}

impl Browser {
    pub async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        Self::over(stream, "app")
    }

    /// A connection that is there already.
    pub fn over(stream: impl Stream + 'static, host: &str) -> Self {
        Self {
            stream: BufReader::new(Box::new(stream)),
            host: host.to_owned(),
        }
    }

    pub async fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.ask(path).await?;
        self.answer().await
    }

    pub async fn ask(&mut self, path: &str) -> io::Result<()> {
        let host = &self.host;
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        self.send(head.as_bytes()).await
    }

    pub async fn post(&mut self, body: &[u8]) -> io::Result<Answer> {
        let (host, length) = (&self.host, body.len());
        let head = format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n");
        self.send(head.as_bytes()).await?;
        self.send(body).await?;
        self.answer().await
    }

    pub async fn post_in_chunks(&mut self, body: &[u8], size: usize) -> io::Result<Answer> {
        let host = &self.host;
        let head = format!("POST / HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n");
        self.send(head.as_bytes()).await?;
        for chunk in body.chunks(size) {
            self.send(format!("{:x}\r\n", chunk.len()).as_bytes())
                .await?;
            self.send(chunk).await?;
            self.send(b"\r\n").await?;
        }
        self.send(b"0\r\n\r\n").await?;
        self.answer().await
    }

    /// Afterwards what is sent comes back.
    pub async fn upgrade(&mut self) -> io::Result<()> {
        let host = &self.host;
        let head = format!(
            "GET / HTTP/1.1\r\nHost: {host}\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
        );
        self.send(head.as_bytes()).await?;
        let head = self.head().await?;
        if !head.starts_with("HTTP/1.1 101 ") {
            return Err(io::Error::other(head));
        }
        Ok(())
    }

    pub async fn echo(&mut self, text: &str) -> io::Result<()> {
        self.send(text.as_bytes()).await?;
        let mut back = vec![0; text.len()];
        self.stream.read_exact(&mut back).await?;
        assert_eq!(back, text.as_bytes());
        Ok(())
    }

    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// Of the app, to one request.
    pub async fn answer(&mut self) -> io::Result<Answer> {
        let head = self.head().await?;
        if !head.starts_with("HTTP/1.1 200 ") {
            return Err(io::Error::other(head));
        }
        let length = head.lines().find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("content-length: ")?
                .parse()
                .ok()
        });
        let mut body = vec![0; length.expect("a length")];
        self.stream.read_exact(&mut body).await?;
        let body = String::from_utf8(body).expect("text");
        let (version, length) = body.split_once(' ').expect("two numbers");
        Ok(Answer {
            version: version.parse().expect("a number"),
            length: length.parse().expect("a number"),
        })
    }

    /// All that comes until the end.
    pub async fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).await?;
        Ok(rest)
    }

    async fn head(&mut self) -> io::Result<String> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.stream.read_line(&mut head).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(head)
    }
}

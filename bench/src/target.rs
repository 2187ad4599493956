//! Where sinks send to: takes everything, and tells when each message has come.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;

use crate::{
    http,
    message::{Marked, Scanner},
};

const PATIENCE: Duration = Duration::from_secs(30);

pub struct Target {
    pub address: SocketAddr,
    arrivals: Receiver<(Marked, Instant)>,
}

impl Target {
    /// Ends with this program: it waits for connections that do not come any more.
    pub fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let (sender, arrivals) = mpsc::channel();
        thread::spawn(move || serve(&listener, &sender));
        Ok(Self { address, arrivals })
    }

    /// The next message, and when its request had come.
    pub fn next(&self) -> anyhow::Result<(Marked, Instant)> {
        let arrival = self.arrivals.recv_timeout(PATIENCE);
        arrival.context("nothing is sent to the target any more")
    }
}

fn serve(listener: &TcpListener, sender: &Sender<(Marked, Instant)>) {
    for stream in listener.incoming().flatten() {
        let sender = sender.clone();
        // A connection ends when the server does.
        thread::spawn(move || answer(stream, &sender));
    }
}

fn answer(mut stream: TcpStream, sender: &Sender<(Marked, Instant)>) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let (mut scanner, mut bytes) = (Scanner::default(), Vec::new());
    let mut buffer = [0; 64 << 10];
    loop {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        let now = Instant::now();
        scanner.scan(&buffer[..read], |message| {
            // Nobody may want to know any more.
            let _ = sender.send((message, now));
        });
        bytes.extend_from_slice(&buffer[..read]);
        while let Some(length) = http::request_length(&bytes) {
            bytes.drain(..length);
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n")?;
        }
    }
}

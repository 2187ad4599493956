//! The least that a socket can do with the past: an answer that is ready before it is
//! asked for, as long as the stream of the newest events.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
};

use crate::{cores::Cores, message::Message};

const FRAME_BYTES: usize = 300;

/// Answers any request with so many events; on the server's core, until this program ends.
pub fn serve(cores: Cores, events: u32) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let answer = answer(events);
    cores.on_the_servers(|| {
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that leaves early is waited for by nobody.
                let _ = send(stream, &answer);
            }
        })
    })?;
    Ok(address)
}

fn answer(events: u32) -> Vec<u8> {
    let frame = |number| format!("{:.<FRAME_BYTES$}", Message::new(number, 0).text());
    let head = "HTTP/1.1 200 OK\r\n\r\n".to_owned();
    let frames = (0..events).map(frame);
    std::iter::once(head)
        .chain(frames)
        .collect::<String>()
        .into()
}

fn send(mut stream: TcpStream, answer: &[u8]) -> io::Result<()> {
    stream.set_nodelay(true)?;
    if stream.read(&mut [0; 4096])? > 0 {
        stream.write_all(answer)?;
    }
    Ok(())
}

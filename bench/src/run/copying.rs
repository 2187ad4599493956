//! The least that a large file costs without `sendfile`: a loop that does nothing but
//! write its bytes, which are ready, to a socket.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::anyhow;
use rustix::time::{ClockId, clock_gettime};

use crate::cores::Cores;

/// CPU time of each time that `bytes` are written, in µs; on the server's core.
pub fn cpu_us(cores: Cores, bytes: usize, lasts: Duration) -> anyhow::Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut reader = TcpStream::connect(listener.local_addr()?)?;
    let (socket, _) = listener.accept()?;
    let writer = cores.on_the_servers(|| thread::spawn(move || write(socket, bytes, lasts)))?;
    let mut scratch = vec![0; 1 << 20];
    while reader.read(&mut scratch)? > 0 {}
    let took = writer.join().map_err(|_| anyhow!("the writer panicked"))?;
    Ok(took?)
}

fn write(mut socket: TcpStream, bytes: usize, lasts: Duration) -> io::Result<f64> {
    let file = vec![b'x'; bytes];
    let (began, before, mut times) = (Instant::now(), thread_time(), 0);
    while began.elapsed() < lasts {
        socket.write_all(&file)?;
        times += 1;
    }
    Ok((thread_time() - before).as_secs_f64() * 1e6 / f64::from(times))
}

fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

//! The app that `tiny-forge demo` deploys. It takes its time to start, talks
//! about it, answers HTTP, and is ill if it is told to be.
//!
//! Nothing but std, linked statically: this one file is the whole image.
//! `demo` serves; `demo check` is its health check.

use std::{
    env, fs,
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    process::ExitCode,
    thread,
    time::Duration,
};

const PORT: u16 = 8080;
const WARM_UP_STEPS: u32 = 8;
const WARM_UP_STEP: Duration = Duration::from_millis(400);
const SIGTERM: i32 = 15;

fn main() -> ExitCode {
    let outcome = match env::args().nth(1).as_deref() {
        Some("check") => check(),
        _ => serve(),
    };
    outcome.unwrap_or_else(|error| {
        println!("{error}");
        ExitCode::FAILURE
    })
}

fn serve() -> io::Result<ExitCode> {
    // SAFETY: the handler only ends the process, without running anything else.
    unsafe { signal(SIGTERM, stop) };
    let release = env::var("RELEASE").unwrap_or_else(|_| "unknown".into());
    let name = fs::read_to_string("/etc/hostname").unwrap_or_default();
    println!("release {release} starts in container {}", name.trim());
    for step in 1..=WARM_UP_STEPS {
        thread::sleep(WARM_UP_STEP);
        println!("warming up, {step} of {WARM_UP_STEPS}");
    }
    let ill = env::var_os("ILL").is_some();
    let (status, body) = if ill {
        ("503 Service Unavailable", "I am not well")
    } else {
        ("200 OK", "I am well")
    };
    let listener = TcpListener::bind(("0.0.0.0", PORT))?;
    println!("listening on port {PORT}");
    loop {
        match listener
            .accept()
            .and_then(|(peer, _)| answer(peer, status, &release, body))
        {
            Ok(request) => println!("{request} is answered with {status}"),
            Err(error) => println!("a request broke off: {error}"),
        }
    }
}

fn answer(mut peer: TcpStream, status: &str, release: &str, body: &str) -> io::Result<String> {
    peer.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut request = [0; 1024];
    let length = peer.read(&mut request)?;
    let request = String::from_utf8_lossy(&request[..length]);
    let line = request.lines().next().unwrap_or_default().to_owned();
    let body = format!("release {release}: {body}\n");
    write!(
        peer,
        "HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )?;
    Ok(line)
}

fn check() -> io::Result<ExitCode> {
    let mut server = TcpStream::connect(("127.0.0.1", PORT))?;
    server.set_read_timeout(Some(Duration::from_secs(2)))?;
    server.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
    let mut response = String::new();
    server.read_to_string(&mut response)?;
    println!("{}", response.lines().last().unwrap_or_default());
    let well = response.starts_with("HTTP/1.1 200 ");
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

// As the first process of its container it would not end by itself on SIGTERM.
unsafe extern "C" {
    fn signal(number: i32, handler: extern "C" fn(i32)) -> usize;
    fn _exit(code: i32) -> !;
}

extern "C" fn stop(_: i32) {
    // SAFETY: it may be called from a signal handler, and does not return.
    unsafe { _exit(0) }
}

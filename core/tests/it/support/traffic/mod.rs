//! Clients that never cease while instances are replaced, and note all that goes wrong.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use tokio::{
    task::JoinSet,
    time::{Instant, interval, timeout},
};

use browser::Browser;
pub use door::Door;

#[allow(dead_code, reason = "tests of the data plane use the rest")]
#[path = "../../../../proxy/tests/it/support/browser.rs"]
mod browser;
mod door;

/// These ask so often: 600 pages a second, each client over one connection.
const READERS: u32 = 24;
const READS_EVERY: Duration = Duration::from_millis(40);
const WRITERS: u32 = 2;
const WRITES_EVERY: Duration = Duration::from_millis(100);
const BODY_BYTES: usize = 300_000;
/// Open over an upgraded connection, as WebSockets are.
const SOCKETS: u32 = 4;
const ECHOES_EVERY: Duration = Duration::from_millis(50);
/// What takes longer has failed.
const ANSWERS_WITHIN: Duration = Duration::from_secs(5);

pub struct Traffic {
    clients: JoinSet<()>,
    seen: Arc<Seen>,
    began: Instant,
}

#[derive(Default)]
struct Seen {
    answered: AtomicU64,
    failures: Mutex<Vec<String>>,
    cuts: Mutex<Vec<SystemTime>>,
}

/// What has come of it.
pub struct Outcome {
    pub answered: u64,
    pub per_second: u64,
    pub failures: Vec<String>,
    /// When connections of sockets were cut.
    pub cuts: Vec<SystemTime>,
}

impl Traffic {
    pub fn start(door: &Door) -> Self {
        let seen = Arc::new(Seen::default());
        let mut clients = JoinSet::new();
        for _ in 0..READERS {
            clients.spawn(asks(door.clone(), seen.clone(), READS_EVERY, Asks::Pages));
        }
        for _ in 0..WRITERS {
            clients.spawn(asks(
                door.clone(),
                seen.clone(),
                WRITES_EVERY,
                Asks::Uploads,
            ));
        }
        for _ in 0..SOCKETS {
            clients.spawn(echoes(door.clone(), seen.clone()));
        }
        Self {
            clients,
            seen,
            began: Instant::now(),
        }
    }

    pub async fn stop(mut self) -> Outcome {
        let seconds = self.began.elapsed().as_secs().max(1);
        self.clients.shutdown().await;
        let answered = self.seen.answered.load(Ordering::SeqCst);
        Outcome {
            answered,
            per_second: answered / seconds,
            failures: std::mem::take(&mut self.seen.failures.lock().expect("no panic")),
            cuts: std::mem::take(&mut self.seen.cuts.lock().expect("no panic")),
        }
    }
}

#[derive(Clone, Copy)]
enum Asks {
    Pages,
    /// Bodies of a known length, and others in chunks.
    Uploads,
}

async fn asks(door: Door, seen: Arc<Seen>, every: Duration, asks: Asks) {
    let mut times = interval(every);
    let body = vec![b'x'; BODY_BYTES];
    let mut connected: Option<Browser> = None;
    for number in 0_u64.. {
        times.tick().await;
        let asked = async {
            let browser = match &mut connected {
                Some(browser) => browser,
                none => none.insert(door.connect().await?),
            };
            match asks {
                Asks::Pages => browser.get("/").await,
                Asks::Uploads if number.is_multiple_of(2) => browser.post(&body).await,
                Asks::Uploads => browser.post_in_chunks(&body, 10_007).await,
            }
        };
        let answer = timeout(ANSWERS_WITHIN, asked).await;
        let answer = answer.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        match (answer, asks) {
            (Ok(answer), Asks::Uploads) if answer.length != BODY_BYTES => {
                seen.failed(format!("an upload of {} bytes", answer.length));
            }
            (Ok(_), _) => {
                seen.answered.fetch_add(1, Ordering::SeqCst);
            }
            (Err(error), _) => {
                seen.failed(error.to_string());
                connected = None;
            }
        }
    }
}

async fn echoes(door: Door, seen: Arc<Seen>) {
    loop {
        let echoing = async || {
            let mut socket = door.connect().await?;
            socket.upgrade().await?;
            let mut times = interval(ECHOES_EVERY);
            loop {
                times.tick().await;
                let echo = timeout(ANSWERS_WITHIN, socket.echo("hello")).await;
                echo.map_err(io::Error::other)??;
            }
        };
        let ended: io::Result<()> = echoing().await;
        assert!(ended.is_err(), "it ends by an error only");
        seen.cuts.lock().expect("no panic").push(SystemTime::now());
    }
}

impl Seen {
    fn failed(&self, what: String) {
        let at = SystemTime::now();
        let line = format!("{at:?}: {what}");
        self.failures.lock().expect("no panic").push(line);
    }
}

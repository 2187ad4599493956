//! What all tests use.

pub mod app;
pub mod browser;
pub mod load;
pub mod proxy;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

/// After which a condition will not come any more.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// One that nobody else uses: connections leave from 127.0.0.1, other runs of
/// these tests have another process id.
pub fn address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let [_, _, high, low] = number.to_be_bytes();
    let run = u8::try_from(std::process::id() % 200).expect("below 200") + 20;
    (Ipv4Addr::new(127, run, high, low), 8000).into()
}

/// Waits until the condition holds.
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// What comes in time.
pub async fn in_time<T>(what: &str, answer: impl Future<Output = T>) -> T {
    let timely = tokio::time::timeout(PATIENCE, answer).await;
    timely.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

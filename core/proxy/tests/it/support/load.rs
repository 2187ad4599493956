//! Clients that ask without a pause, and to which nothing may go wrong.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{sync::watch, task::JoinSet};

use super::{browser::Browser, in_time};

const BODY_BYTES: usize = 300_000;

pub struct Load {
    clients: JoinSet<u64>,
    is_over: watch::Sender<bool>,
    /// The version of the app that answers since before now.
    current: Arc<AtomicUsize>,
}

#[derive(Debug, Clone, Copy)]
pub enum Asks {
    Pages,
    /// Bodies of a known length, and others in chunks.
    Uploads,
    /// Pages, each over a connection of its own.
    Anew,
}

impl Load {
    /// While version 0 of the app answers.
    pub fn start(clients: usize, asks: Asks, listen: SocketAddr) -> Self {
        let current = Arc::new(AtomicUsize::new(0));
        let is_over = watch::Sender::new(false);
        let mut tasks = JoinSet::new();
        for _ in 0..clients {
            tasks.spawn(ask(asks, listen, current.clone(), is_over.subscribe()));
        }
        Self {
            clients: tasks,
            is_over,
            current,
        }
    }

    pub fn switched_to(&self, version: usize) {
        self.current.store(version, Ordering::SeqCst);
    }

    /// The number of requests that were answered, which is all of them.
    pub async fn stop(mut self) -> u64 {
        self.is_over.send_replace(true);
        let mut answered = 0;
        while let Some(client) = in_time("the clients end", self.clients.join_next()).await {
            answered += client.expect("no request has failed");
        }
        answered
    }
}

async fn ask(
    asks: Asks,
    listen: SocketAddr,
    current: Arc<AtomicUsize>,
    is_over: watch::Receiver<bool>,
) -> u64 {
    let body = vec![b'x'; BODY_BYTES];
    let mut browser = Browser::connect(listen).await;
    let mut answered: u64 = 0;
    while !*is_over.borrow() {
        let before = current.load(Ordering::SeqCst);
        let answer = match asks {
            Asks::Pages => browser.get("/").await,
            Asks::Uploads if answered.is_multiple_of(2) => browser.post(&body).await,
            Asks::Uploads => browser.post_in_chunks(&body, 10_007).await,
            Asks::Anew => {
                browser = Browser::connect(listen).await;
                browser.get("/").await
            }
        };
        let answer = answer.expect("an answer");
        // The next version may be in force a moment before this is known here.
        let after = current.load(Ordering::SeqCst) + 1;
        let version = answer.version;
        assert!(
            (before..=after).contains(&version),
            "{version} of {before} to {after}"
        );
        if matches!(asks, Asks::Uploads) {
            assert_eq!(answer.length, BODY_BYTES);
        }
        answered += 1;
    }
    answered
}

//! A listen address that is held: its socket, and the connections that came by
//! it, each a task.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use rustix::net::sockopt;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    task::{JoinError, JoinSet},
    time::sleep,
};

use crate::{
    connection::{self, Newcomer},
    keepalive,
    switch::{Switch, Target},
};

/// Connections that the kernel has accepted for us; more are told to try again.
const BACKLOG: u32 = 4096;

/// Clients from another process that wait for a place; their sender waits too.
const NEWCOMERS_MAX: usize = 16;

/// After an error that concerns no single connection, such as no free file
/// descriptor.
const BACKOFF: Duration = Duration::from_millis(100);

pub struct Listening {
    pub switch: Arc<Switch>,
    /// Shared with the task that accepts, so that it can be handed over.
    pub socket: Arc<TcpListener>,
    pub newcomers: mpsc::Sender<Newcomer>,
    has_closed: oneshot::Receiver<()>,
}

/// What the task that accepts owns.
struct Door {
    switch: Arc<Switch>,
    socket: Arc<TcpListener>,
    newcomers: mpsc::Receiver<Newcomer>,
    places: Arc<Semaphore>,
}

pub fn bind(listen: SocketAddr) -> io::Result<TcpListener> {
    let socket = match listen {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Connections of an earlier process may still be ending on this port.
    socket.set_reuseaddr(true)?;
    if listen.is_ipv6() {
        // So that both families can be held, each by its own route.
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    keepalive::set(&socket);
    socket.bind(listen)?;
    socket.listen(BACKLOG)
}

impl Listening {
    /// Begins to accept. The task ends when the switch leads to no upstream any
    /// more and the last connection has ended.
    pub fn begin(
        socket: TcpListener,
        switch: Switch,
        places: Arc<Semaphore>,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let switch = Arc::new(switch);
        let socket = Arc::new(socket);
        let (newcomers, arriving) = mpsc::channel(NEWCOMERS_MAX);
        let (closed, has_closed) = oneshot::channel();
        let door = Door {
            switch: switch.clone(),
            socket: socket.clone(),
            newcomers: arriving,
            places,
        };
        tasks.spawn(door.keep(closed));
        Self {
            switch,
            socket,
            newcomers,
            has_closed,
        }
    }

    /// Stops listening: the port is free when this returns. Connections that
    /// are under way go on.
    pub async fn close(self, target: Target) {
        self.switch.turn(target);
        drop(self.socket);
        // An error means that the task has ended, which comes to the same.
        let _ = self.has_closed.await;
    }
}

impl Door {
    async fn keep(mut self, closed: oneshot::Sender<()>) {
        let mut connections = JoinSet::new();
        self.accept(&mut connections).await;
        drop(self.socket);
        // Nobody waits for it when the process has been dropped.
        let _ = closed.send(());
        loop {
            tokio::select! {
                // The process before this one may still send clients: they are led on.
                Some(newcomer) = self.newcomers.recv() => {
                    serve(newcomer, None, &self.switch, &mut connections);
                }
                Some(ended) = connections.join_next() => note(ended),
                else => return,
            }
        }
    }

    async fn accept(&mut self, connections: &mut JoinSet<()>) {
        let mut target = self.switch.watch();
        while target.borrow_and_update().is_upstream() {
            tokio::select! {
                (newcomer, place) = next(&self.socket, &mut self.newcomers, &self.places) => {
                    serve(newcomer, place, &self.switch, connections);
                }
                Some(ended) = connections.join_next() => note(ended),
                Ok(()) = target.changed() => {}
            }
        }
    }
}

fn serve(
    newcomer: Newcomer,
    place: Option<OwnedSemaphorePermit>,
    switch: &Arc<Switch>,
    connections: &mut JoinSet<()>,
) {
    let switch = switch.clone();
    connections.spawn(async move {
        connection::run(newcomer, &switch).await;
        drop(place);
    });
}

/// The next client, once there is a place for it. As long as there is none,
/// clients wait in the kernel's backlog.
async fn next(
    socket: &TcpListener,
    newcomers: &mut mpsc::Receiver<Newcomer>,
    places: &Arc<Semaphore>,
) -> (Newcomer, Option<OwnedSemaphorePermit>) {
    // It is never closed, so there is always a permit in the end.
    let place = places.clone().acquire_owned().await.ok();
    let newcomer = tokio::select! {
        stream = accept(socket) => Newcomer::accepted(stream),
        Some(newcomer) = newcomers.recv() => newcomer,
    };
    (newcomer, place)
}

async fn accept(socket: &TcpListener) -> TcpStream {
    loop {
        match socket.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) if is_about_one_client(&error) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be accepted at the moment");
                sleep(BACKOFF).await;
            }
        }
    }
}

fn is_about_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// A panic costs the connection in which it happened, and no other one.
fn note(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection ended by a panic");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::upstream::Upstream;

    /// Sends back one byte to each client, and says how many were there at most.
    async fn echo(listener: TcpListener, most: Arc<AtomicUsize>) {
        let open = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let open = open.clone();
            most.fetch_max(open.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tasks.spawn(async move {
                let byte = stream.read_u8().await.expect("a byte");
                // Counted before the client can know that it is its end.
                open.fetch_sub(1, Ordering::SeqCst);
                stream.write_u8(byte).await.expect("sent");
            });
        }
    }

    #[tokio::test]
    async fn clients_beyond_the_limit_wait_until_others_have_left() {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let app = TcpListener::bind(any).await.expect("a port");
        let socket = bind(any).expect("a port");
        let listen = socket.local_addr().expect("an address");
        let upstream = Arc::new(Upstream::new(listen, app.local_addr().expect("an address")));
        let most = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        tasks.spawn(echo(app, most.clone()));
        let places = Arc::new(Semaphore::new(1));
        let switch = Switch::new(listen, upstream);
        let _listening = Listening::begin(socket, switch, places, &mut tasks);

        let mut clients = JoinSet::new();
        for number in 0..5 {
            clients.spawn(async move {
                let mut client = TcpStream::connect(listen).await.expect("nobody is refused");
                client.write_u8(number).await.expect("sent");
                assert_eq!(client.read_u8().await.expect("a byte"), number);
            });
        }
        while let Some(served) = clients.join_next().await {
            served.expect("everybody is served");
        }

        assert_eq!(most.load(Ordering::SeqCst), 1);
    }
}

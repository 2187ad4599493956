//! The way to an upstream, tried for a while.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    net::TcpStream,
    sync::mpsc,
    time::{Instant, sleep, timeout},
};

use crate::{
    connection::Emigrant,
    keepalive,
    switch::{Switch, Way},
    upstream::Place,
};

/// An upstream that refuses may be starting, or be about to be switched away.
const PATIENCE: Duration = Duration::from_secs(5);

/// Within one machine an answer that takes longer will not come.
const ATTEMPT: Duration = Duration::from_secs(2);

const PAUSE: Duration = Duration::from_millis(50);

pub enum Reached {
    Upstream(TcpStream, Place),
    Nowhere,
    Successor(mpsc::Sender<Emigrant>),
    Nobody,
}

/// Connects to the upstream that the route names; after a failure, to the one
/// that it names then.
pub async fn reach(switch: &Switch) -> Reached {
    let deadline = Instant::now() + PATIENCE;
    // Watched before it is asked, so that no turn is missed.
    let mut target = switch.watch();
    let mut waiting = None;
    loop {
        let place = match switch.way() {
            Way::Upstream(place) => place,
            Way::Nowhere => return Reached::Nowhere,
            Way::Successor(successor) => return Reached::Successor(successor),
        };
        let upstream = place.upstream.address;
        let attempt = tokio::select! {
            attempt = connect(upstream) => attempt,
            Ok(()) = target.changed() => continue,
        };
        match attempt {
            Ok(stream) => return Reached::Upstream(stream, place),
            Err(error) if Instant::now() > deadline => {
                let listen = switch.listen;
                tracing::warn!(%listen, %upstream, %error, "an upstream cannot be reached");
                return Reached::Nobody;
            }
            // Who waits has no place, so that it does not hold up a drain.
            Err(_) => {
                drop(place);
                waiting.get_or_insert_with(|| switch.wait());
            }
        }
        tokio::select! {
            () = sleep(PAUSE) => {}
            Ok(()) = target.changed() => {}
        }
    }
}

async fn connect(upstream: SocketAddr) -> io::Result<TcpStream> {
    let connected = timeout(ATTEMPT, TcpStream::connect(upstream)).await;
    let stream = connected.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
    stream.set_nodelay(true)?;
    keepalive::set(&stream);
    Ok(stream)
}

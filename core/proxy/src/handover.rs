//! One process takes the place of another, and no connection is refused
//! meanwhile: both listen until the new one has said that it does. What
//! becomes of connections is told in `lodging`.

use std::{
    collections::BTreeMap, io, net::SocketAddr, os::fd::OwnedFd, path::Path, time::Duration,
};

use tokio::net::{TcpListener, UnixStream};

use crate::{
    control::{
        protocol::{Handed, Refusal, Reply, Request, Taking},
        wire::{Wire, WireError, within},
    },
    home::{Home, HomeError},
    table::Table,
};

/// For all that is said until the new process listens.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a new process gets from the one before it.
pub struct Inheritance {
    pub home: Home,
    pub sockets: BTreeMap<SocketAddr, TcpListener>,
    pub wire: Wire,
}

#[derive(Debug, thiserror::Error)]
pub enum TakeOverError {
    #[error("the running proxy cannot be replaced: {0}")]
    Wire(WireError),
    #[error("the running proxy does not hand over: {0}")]
    Refused(Refusal),
    #[error("the running proxy does not hand over: it sent something else")]
    Confused,
    #[error(transparent)]
    Home(#[from] HomeError),
}

impl From<WireError> for TakeOverError {
    fn from(error: WireError) -> Self {
        Self::Wire(error)
    }
}

impl From<Refusal> for TakeOverError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The old process: gives all it listens with. It goes on as before unless
/// this succeeds.
pub async fn give(wire: &mut Wire, home: &Home, table: &Table) -> Result<(), WireError> {
    let given = async {
        wire.send(&Reply::HandingOver {}).await?;
        wire.send_with(&Handed::Lock {}, home.lock()).await?;
        wire.send_with(&Handed::Control {}, &home.control).await?;
        for (listen, socket) in table.sockets() {
            wire.send_with(&Handed::Listener { listen }, &*socket)
                .await?;
        }
        wire.send(&Handed::All {}).await?;
        wire.receive().await
    };
    match within(PATIENCE, given).await? {
        Taking::Taken {} => Ok(()),
        // It speaks of what it has not got yet.
        Taking::Cut(_) => Err(WireError::Closed),
    }
}

/// The new process: asks for everything. `None` where nobody runs.
pub async fn take(dir: &Path, deadline: Duration) -> Result<Option<Inheritance>, TakeOverError> {
    let stream = match UnixStream::connect(Home::socket_in(dir)).await {
        Ok(stream) => stream,
        Err(error) if is_absence(&error) => return Ok(None),
        Err(error) => return Err(WireError::from(error).into()),
    };
    let mut wire = Wire::new(stream);
    wire.greet().await?;
    let deadline_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
    wire.send(&Request::HandOver { deadline_ms }).await?;
    match within(PATIENCE, wire.receive()).await? {
        Reply::HandingOver {} => {}
        Reply::Refused(refusal) => return Err(refusal.into()),
        _ => return Err(TakeOverError::Confused),
    }
    receive(dir, wire).await.map(Some)
}

async fn receive(dir: &Path, mut wire: Wire) -> Result<Inheritance, TakeOverError> {
    let mut lock = None;
    let mut control = None;
    let mut sockets = BTreeMap::new();
    loop {
        match within(PATIENCE, wire.receive()).await? {
            Handed::Lock {} => lock = Some(wire.descriptor()?),
            Handed::Control {} => control = Some(wire.descriptor()?),
            Handed::Listener { listen } => {
                sockets.insert(listen, listener(wire.descriptor()?)?);
            }
            Handed::All {} => break,
        }
    }
    let (Some(lock), Some(control)) = (lock, control) else {
        return Err(TakeOverError::Confused);
    };
    let home = Home::inherit(dir, lock, control)?;
    Ok(Inheritance {
        home,
        sockets,
        wire,
    })
}

fn listener(descriptor: OwnedFd) -> Result<TcpListener, WireError> {
    let listener = std::net::TcpListener::from(descriptor);
    Ok(TcpListener::from_std(listener)?)
}

fn is_absence(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

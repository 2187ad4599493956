//! After a handover: the connections of the process that has handed over.
//!
//! Clients that are idle follow to the new process, one by one as they become
//! so. The others lodge with the old one until they end; the new one counts
//! them, so that a drain waits for them, and has them cut at its deadline.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use tokio::{net::TcpStream, sync::mpsc, time::interval};

use crate::{
    connection::{Emigrant, Newcomer},
    control::{
        protocol::{Arrival, Destination, Left, Lodging, Taking},
        wire::{Wire, WireError, within},
    },
    table::Table,
    upstream::Lodgers,
};

/// How often either side looks whether there is something to say.
const LOOK: Duration = Duration::from_millis(100);

/// For each word of the first count. Without it, the new process goes on.
const COUNT_PATIENCE: Duration = Duration::from_secs(2);

/// The old process: until it has no connections any more.
pub async fn see_off(mut wire: Wire, table: &Table, mut emigrants: mpsc::Receiver<Emigrant>) {
    let mut told = BTreeMap::new();
    let mut look = interval(LOOK);
    let mut is_heard = tell(&wire, table, &mut told).await.is_ok();
    is_heard &= wire.send(&Left::Counted {}).await.is_ok();
    loop {
        let said = tokio::select! {
            emigrant = emigrants.recv() => match emigrant {
                Some(emigrant) => send(&wire, emigrant).await,
                // Every connection has held the other end.
                None => return,
            },
            said = wire.receive(), if is_heard => said.map(|taking| obey(table, &taking)),
            _ = look.tick(), if is_heard => tell(&wire, table, &mut told).await,
        };
        if let Err(error) = said
            && is_heard
        {
            tracing::warn!(%error, "the new process is gone; connections go on until they end");
            is_heard = false;
        }
    }
}

async fn send(wire: &Wire, emigrant: Emigrant) -> Result<(), WireError> {
    let Emigrant { listen, newcomer } = emigrant;
    let Newcomer { stream, past, next } = newcomer;
    let arrival = Arrival {
        listen,
        past,
        next_bytes: next.len(),
    };
    wire.send_with(&Left::Client(arrival), &stream).await?;
    wire.send_bytes(&next).await
}

/// What has changed since it was told last.
async fn tell(
    wire: &Wire,
    table: &Table,
    told: &mut BTreeMap<Destination, u64>,
) -> Result<(), WireError> {
    for (at, open) in table.lodgings() {
        if told.insert(at, open).unwrap_or(0) != open {
            wire.send(&Left::Open(Lodging { at, open })).await?;
        }
    }
    Ok(())
}

fn obey(table: &Table, taking: &Taking) {
    match taking {
        Taking::Taken {} => {}
        Taking::Cut(at) => table.cut(*at),
    }
}

/// The process before this one, as long as it is there.
pub struct Predecessor {
    wire: Wire,
    doors: BTreeMap<SocketAddr, mpsc::Sender<Newcomer>>,
    lodgers: BTreeMap<Destination, Lodgers>,
}

impl Predecessor {
    /// Says that this process listens, and hears of all connections that the
    /// other one has.
    pub async fn relieve(wire: Wire, table: &mut Table) -> Result<Self, WireError> {
        wire.send(&Taking::Taken {}).await?;
        let mut predecessor = Self {
            wire,
            doors: table.doors(),
            lodgers: BTreeMap::new(),
        };
        if let Err(error) = predecessor.count(table).await {
            tracing::warn!(%error, "the connections of the process before are not all known");
        }
        Ok(predecessor)
    }

    async fn count(&mut self, table: &mut Table) -> Result<(), WireError> {
        loop {
            match within(COUNT_PATIENCE, self.wire.receive()).await? {
                Left::Counted {} => return Ok(()),
                Left::Client(arrival) => self.welcome(arrival).await?,
                Left::Open(lodging) => {
                    self.lodgers.insert(lodging.at, table.lodge(lodging));
                }
            }
        }
    }

    /// Until it is gone.
    pub async fn attend(mut self) {
        if let Err(error) = self.try_attend().await
            && !matches!(error, WireError::Closed)
        {
            tracing::warn!(%error, "the process before this one is not understood");
        }
    }

    async fn try_attend(&mut self) -> Result<(), WireError> {
        let mut look = interval(LOOK);
        loop {
            let left = tokio::select! {
                left = self.wire.receive() => left?,
                _ = look.tick() => {
                    self.pass_on_cuts().await?;
                    continue;
                }
            };
            match left {
                Left::Counted {} => {}
                Left::Client(arrival) => self.welcome(arrival).await?,
                // There are never more of them than were counted first.
                Left::Open(Lodging { at, open }) => {
                    if let Some(lodgers) = self.lodgers.get_mut(&at) {
                        lodgers.set(open);
                    }
                }
            }
        }
    }

    async fn welcome(&mut self, arrival: Arrival) -> Result<(), WireError> {
        let Arrival {
            listen,
            past,
            next_bytes,
        } = arrival;
        let stream = std::net::TcpStream::from(self.wire.descriptor()?);
        let stream = TcpStream::from_std(stream)?;
        let next = self.wire.receive_bytes(next_bytes).await?;
        if let Some(door) = self.doors.get(&listen) {
            // Where the route was removed meanwhile, the client is let go.
            let _ = door.send(Newcomer { stream, past, next }).await;
        }
        Ok(())
    }

    async fn pass_on_cuts(&mut self) -> Result<(), WireError> {
        for (at, lodgers) in &mut self.lodgers {
            if lodgers.is_cut() {
                self.wire.send(&Taking::Cut(*at)).await?;
            }
        }
        Ok(())
    }
}

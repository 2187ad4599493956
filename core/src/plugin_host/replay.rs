//! Dead letters that are tried again.

use super::{HostError, PluginHost, host::not_found};
use crate::{
    model::{Delivery, Principal, Replayed},
    store::{REPLAYED_AT_ONCE, Replay},
};

impl PluginHost {
    /// Tries a dead letter again, under its old id.
    pub async fn replay(&self, _: &Principal, id: &str) -> Result<Delivery, HostError> {
        let wanted = id.to_owned();
        let found = (self.shared().store).read(move |reader| reader.delivery(&wanted));
        let sink = found.await?.ok_or_else(|| not_found("delivery", id))?.sink;
        if !self.live().plugins.contains_key(&sink) {
            return Err(HostError::Conflict(format!(
                "sink `{sink}` of delivery `{id}` is not configured: add [plugin.{sink}] first"
            )));
        }
        let wanted = id.to_owned();
        let (replayed, delivery) = self
            .shared()
            .store
            .write(move |tx| Ok((tx.replay_delivery(&wanted)?, tx.delivery(&wanted)?)))
            .await?;
        let delivery = delivery.ok_or_else(|| not_found("delivery", id))?;
        match replayed {
            Replay::Waits => {}
            Replay::QueueFull => {
                return Err(HostError::Conflict(format!(
                    "the queue of sink `{sink}` is full: replay `{id}` once it has sent some"
                )));
            }
            Replay::NotDead => {
                let status = delivery.status.as_str();
                return Err(HostError::Conflict(format!(
                    "delivery `{id}` is {status}: only a dead one can be replayed"
                )));
            }
        }
        if let Some(sink) = self.live().plugins.get(&delivery.sink) {
            sink.wake();
        }
        Ok(delivery)
    }

    /// Tries the dead letters of a sink again, the oldest first, as many as its queue has
    /// room for.
    pub async fn replay_all(&self, _: &Principal, sink: &str) -> Result<Replayed, HostError> {
        let inbox = match self.live().plugins.get(sink) {
            Some(plugin) => plugin.inbox.clone(),
            None => return Err(not_found("plugin", sink)),
        };
        let store = &self.shared().store;
        let dead = async || {
            let name = sink.to_owned();
            store.read(move |reader| reader.sink_queue(&name)).await
        };
        // Those that die again meanwhile are not tried once more.
        let mut left = usize::try_from(dead().await?.dead).unwrap_or(usize::MAX);
        let mut replayed = 0;
        while left > 0 {
            let (name, most) = (sink.to_owned(), left.min(REPLAYED_AT_ONCE));
            let waiting = store.write(move |tx| tx.replay_deliveries(&name, most));
            let waiting = waiting.await?;
            inbox.ring();
            replayed += waiting;
            left -= waiting;
            if waiting < most {
                break;
            }
        }
        Ok(Replayed { replayed, left })
    }
}

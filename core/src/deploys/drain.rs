//! The end of connections to an instance that its ports do not lead to any more.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use tiny_forge_proxy::Route;
use tokio::{
    sync::{oneshot, watch},
    time::{Instant, timeout},
};

use super::{error::Stop, run::Run};
use crate::{model::Plan, store::StoreError};

/// Each takes a session of the data plane's.
const AT_ONCE: usize = 8;
/// Lines about connections that are still open.
const TOLD_EVERY: Duration = Duration::from_secs(5);

impl Run {
    /// Until nobody talks to the old instance any more; what came of it.
    pub(super) async fn drain_old(&self, plan: &Plan, left: Duration) -> Result<String, Stop> {
        let routes = self.routes_to_old(plan).await?;
        self.drain(&routes, left).await
    }

    /// It has served, and does so no longer.
    pub(super) async fn drain_candidate(&self, plan: &Plan) -> Result<(), Stop> {
        let left = Duration::from_millis(self.spec.drain_ms);
        let drained = self.drain(&self.routes_to_candidate(plan), left).await?;
        Ok(self.journal.say(drained).await?)
    }

    async fn drain(&self, routes: &[Route], left: Duration) -> Result<String, Stop> {
        let deadline = Instant::now() + left;
        let (open, counts) = watch::channel(vec![0; routes.len()]);
        let open = &open;
        let drains = routes.iter().enumerate().map(|(at, route)| async move {
            let told = move |count| open.send_modify(|counts| counts[at] = count);
            let (plane, left) = (&self.tools.data_plane, deadline - Instant::now());
            plane.drain(route.listen, route.upstream, left, told).await
        });
        let drains: Vec<_> = drains.collect();
        let (is_over, over) = oneshot::channel::<()>();
        let drained = async {
            let drains = stream::iter(drains).buffer_unordered(AT_ONCE);
            let drained: Vec<_> = drains.collect().await;
            drop(is_over);
            drained
        };
        let (drained, told) = tokio::join!(drained, self.tell_open(counts.clone(), over));
        told?;
        let mut cut = 0;
        for one in drained {
            match one {
                Ok(drained) => cut += drained.cut,
                Err(error) => return Ok(format!("not followed to its end: {error}")),
            }
        }
        Ok(match cut {
            0 => "nobody is connected any more".to_owned(),
            1 => "1 connection did not end in time and was cut".to_owned(),
            cut => format!("{cut} connections did not end in time and were cut"),
        })
    }

    async fn tell_open(
        &self,
        counts: watch::Receiver<Vec<u64>>,
        mut over: oneshot::Receiver<()>,
    ) -> Result<(), StoreError> {
        while timeout(TOLD_EVERY, &mut over).await.is_err() {
            let line = match counts.borrow().iter().sum() {
                0_u64 => continue,
                1 => "1 connection is still open".to_owned(),
                count => format!("{count} connections are still open"),
            };
            self.journal.say(line).await?;
        }
        Ok(())
    }
}

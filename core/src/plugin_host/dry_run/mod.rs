//! Dry runs: what a plugin or a pipeline would have done with past events.
//!
//! Events come from the journal, plugins run in the same sandbox and pipelines
//! decide by the same code as ever; but guests only rehearse: no request leaves,
//! secrets have no values, nothing that they write is kept, and the time of day
//! is the event's. So a plugin or pipeline can be tried before it is installed.

mod beside;
mod candidate;
mod cast;
mod span;
mod walk;

use std::sync::Arc;

use tokio_util::task::AbortOnDropHandle;

use super::{HostError, PluginHost, capabilities::Rehearsal};
use crate::model::{DryRun, DryRunRequest, Principal};

use candidate::Candidate;
use cast::Cast;
use span::Span;
use walk::Walk;

/// What is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    Plugin(String),
    Pipeline(String),
}

impl Tried {
    fn name(&self) -> &str {
        let (Self::Plugin(name) | Self::Pipeline(name)) = self;
        name
    }
}

impl PluginHost {
    /// Ends 20 seconds after its plugins are prepared, at the latest, with what it has
    /// come to.
    pub async fn dry_run(
        &self,
        _: &Principal,
        tried: Tried,
        request: DryRunRequest,
    ) -> Result<DryRun, HostError> {
        let shared = self.shared();
        let _alone = shared.dry_runs.try_acquire().map_err(|_| {
            HostError::Conflict(format!(
                "another dry run is under way: try `{}` again when it has ended",
                tried.name()
            ))
        })?;
        let name = tried.name().to_owned();
        let span = Span::of(&request)?;
        let rehearsal = Arc::new(Rehearsal::new(request.answer.clone().unwrap_or_default()));
        let host = self.clone();
        let run = async move {
            let unpack = {
                let host = host.clone();
                move || Candidate::new(&host, tried, request)
            };
            // Megabytes are decoded and written.
            let candidate = tokio::task::spawn_blocking(unpack).await;
            let candidate = candidate.map_err(|panic| HostError::Busy(panic.to_string()))??;
            let cast = Cast::prepare(&host, &candidate, &rehearsal).await?;
            Walk::new(&host, &candidate, cast, rehearsal, span)?
                .run()
                .await
        };
        // Guests run where guests run; whoever asked may go.
        let running = AbortOnDropHandle::new(shared.runtime.spawn(run));
        running.await.unwrap_or_else(|_| Err(HostError::Busy(name)))
    }
}

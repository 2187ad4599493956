//! A plugin changes its state, and whoever listens is told.

use super::{Known, PluginStatus};
use crate::model::{Actor, NewEvent, Payload, PluginState, PluginStatusPayload, Severity, Subject};

/// A state that it gets, and what is to be said of that.
pub(super) struct Change {
    state: PluginState,
    error: Option<String>,
    severity: Severity,
}

impl Change {
    pub(super) const fn to(state: PluginState, error: Option<String>, severity: Severity) -> Self {
        Self {
            state,
            error,
            severity,
        }
    }
}

impl PluginStatus {
    /// Decided, done and told under one lock, so that no other change comes in between.
    /// Publishes only what is news; false where `decide` leaves it in its state.
    pub(super) fn change(&self, decide: impl FnOnce(&mut Known) -> Option<Change>) -> bool {
        let mut known = self.lock();
        let Some(change) = decide(&mut known) else {
            return false;
        };
        let Change {
            state,
            error,
            severity,
        } = change;
        let identity = known.running.as_ref();
        let payload = PluginStatusPayload {
            plugin: self.name.clone(),
            state: state.as_str().to_owned(),
            previous: (known.state != state).then(|| known.state.as_str().to_owned()),
            digest: identity.map(|identity| identity.digest.clone()),
            version: identity.map(|identity| identity.description.version.clone()),
            error: error.clone(),
        };
        let is_news = known.state != state || known.error != error || error.is_none();
        known.state = state;
        known.error = error;
        if is_news {
            self.publish(payload, severity);
        }
        true
    }

    /// It does not wait.
    fn publish(&self, payload: PluginStatusPayload, severity: Severity) {
        let Some(bus) = &self.bus else {
            return;
        };
        let event = NewEvent::new(
            Subject::other(format!("plugins/{}", self.name)),
            severity,
            Actor::system("plugins"),
            Payload::PluginStatus(payload),
        );
        if let Err(error) = bus.publish(event) {
            tracing::warn!(%error, plugin = self.name, "a change of a plugin could not be told");
        }
    }
}

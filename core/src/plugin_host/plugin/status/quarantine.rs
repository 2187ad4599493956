use std::{sync::Arc, time::Duration};

use super::PluginStatus;
use crate::plugin_host::sandbox::Fault;

/// Held by each place that uses the plugin and leaves it alone. When the last of
/// them has gone, the plugin runs again.
pub(super) struct Quarantine {
    status: Arc<PluginStatus>,
    /// How often it had been begun afresh: what was before that is over.
    beginning: u64,
}

impl Quarantine {
    pub fn new(status: &Arc<PluginStatus>) -> Self {
        Self {
            beginning: status.enter_quarantine(),
            status: status.clone(),
        }
    }

    /// Why it is left alone, and for how long.
    pub fn tell(&self, version: &str, fault: &Fault, rests_for: Duration) {
        self.status
            .quarantined(self.beginning, version, fault, rests_for);
    }
}

impl Drop for Quarantine {
    fn drop(&mut self) {
        self.status.leave_quarantine(self.beginning);
    }
}

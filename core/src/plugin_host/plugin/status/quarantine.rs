//! Places that use a plugin leave it alone for a while after repeated faults.

use std::{sync::Arc, time::Duration};

use super::{Change, PluginStatus};
use crate::{
    model::{PluginState, Severity, Timestamp},
    plugin_host::sandbox::Fault,
};

/// Held by each place that uses the plugin and leaves it alone. When the last of
/// them has gone, the plugin runs again.
pub struct Quarantine {
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

impl PluginStatus {
    /// Ends a quarantine before its time; false where there is none.
    pub fn resume(&self) -> bool {
        self.change(|known| {
            (known.state == PluginState::Quarantined).then(|| self.begin_afresh(known))
        })
    }

    /// One more place leaves it alone; since which beginning.
    fn enter_quarantine(&self) -> u64 {
        let mut known = self.lock();
        known.quarantines += 1;
        *self.beginnings.borrow()
    }

    fn leave_quarantine(&self, beginning: u64) {
        self.change(|known| {
            if *self.beginnings.borrow() != beginning {
                return None;
            }
            known.quarantines -= 1;
            let is_over = known.quarantines == 0 && known.state == PluginState::Quarantined;
            is_over.then(|| known.runs())
        });
    }

    /// Of a quarantine that was entered since `beginning`. Where it was begun afresh by now
    /// that is over, and one that has gone by now is not there to be left alone.
    fn quarantined(&self, beginning: u64, version: &str, fault: &Fault, rests_for: Duration) {
        let rests_ms = u64::try_from(rests_for.as_millis()).unwrap_or(u64::MAX);
        let error = format!("quarantined after repeated faults, the last in {version}: {fault}");
        self.change(|known| {
            let is_there = matches!(known.state, PluginState::Running | PluginState::Quarantined);
            if *self.beginnings.borrow() != beginning || !is_there {
                return None;
            }
            known.rests_until = Some(Timestamp::now().plus_ms(rests_ms));
            Some(Change::to(
                PluginState::Quarantined,
                Some(error),
                Severity::Error,
            ))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running() -> PluginStatus {
        let status = PluginStatus::new("rules", "rules.wasm".into(), None);
        status.change(|known| Some(known.runs()));
        status
    }

    fn fails(status: &PluginStatus, beginning: u64) -> PluginState {
        let rests_for = Duration::from_secs(30);
        status.quarantined(beginning, "version 1", &Fault::Dead, rests_for);
        status.state()
    }

    #[test]
    fn a_fault_of_before_it_was_resumed_puts_it_into_no_quarantine_that_nobody_ends() {
        let status = running();
        let before = status.enter_quarantine();
        assert_eq!(fails(&status, before), PluginState::Quarantined);
        assert!(status.resume());
        assert!(!status.resume());
        assert_eq!(fails(&status, before), PluginState::Running);
        status.leave_quarantine(before);
        assert_eq!(status.state(), PluginState::Running);

        let since = status.enter_quarantine();
        assert_eq!(fails(&status, since), PluginState::Quarantined);
        status.leave_quarantine(since);
        assert_eq!(status.state(), PluginState::Running);
    }

    #[test]
    fn a_plugin_whose_file_has_gone_is_neither_quarantined_nor_seen_to_run() {
        let status = running();
        let beginning = status.enter_quarantine();
        status.missing("it is not in the plugins folder".into());
        assert_eq!(fails(&status, beginning), PluginState::Missing);
        status.leave_quarantine(beginning);
        assert_eq!(status.state(), PluginState::Missing);
    }
}

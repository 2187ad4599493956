//! What a plugin is run with.

use std::{borrow::Cow, sync::Arc};

use super::{GuestEvent, Limits};
use crate::plugin_host::{
    capabilities::{HttpAccess, PluginLog, PluginValues, Rehearsal, Secrets},
    metrics::Metrics,
};

/// Everything that an instance of one configured plugin is made with.
#[derive(Clone)]
pub struct Setup {
    /// The plugin's configured name.
    pub plugin: String,
    pub limits: Limits,
    pub log: PluginLog,
    pub http: HttpAccess,
    pub secrets: Secrets,
    pub values: PluginValues,
    /// Where it is counted.
    pub metrics: Arc<Metrics>,
    /// Set where nothing that it does may leave or be kept.
    pub rehearsal: Option<Arc<Rehearsal>>,
}

impl Setup {
    /// Only in a request does an event's text name a secret.
    pub(super) fn disarm<'e>(&self, event: &'e GuestEvent) -> Cow<'e, GuestEvent> {
        if self.http.reaches_nothing() {
            Cow::Borrowed(event)
        } else {
            self.secrets.disarm(event)
        }
    }
}

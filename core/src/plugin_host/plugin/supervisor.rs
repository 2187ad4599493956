use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Kit, PluginStatus, Version, Versions, prepare::Prepared, prepare_error::PrepareError};
use crate::{
    model::PluginRole,
    plugin_host::{config::PluginConfig, folder::Stamp},
};

/// How soon what may have passed is tried again, as a secret that was not there.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// What the folder asks for, of one plugin.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// The stamp is of its file; none for a built-in one.
    Run {
        config: Box<PluginConfig>,
        stamp: Option<Stamp>,
    },
    /// Only say what this file is.
    Describe { file: String, stamp: Stamp },
    /// Its file has gone.
    Missing { file: String },
}

/// Prepares each version of a plugin that is wanted, and publishes the good
/// ones. A bad one leaves the old one running and says why.
pub struct Supervisor {
    kit: Kit,
    status: Arc<PluginStatus>,
    wanted: watch::Receiver<Wanted>,
    versions: watch::Sender<Option<Arc<Version>>>,
    /// Whoever uses it counts on this, also while its file is away.
    role: OnceLock<PluginRole>,
}

impl Supervisor {
    pub fn new(
        kit: Kit,
        status: Arc<PluginStatus>,
        wanted: watch::Receiver<Wanted>,
    ) -> (Self, Versions) {
        let (versions, receiver) = watch::channel(None);
        let supervisor = Self {
            kit,
            status,
            wanted,
            versions,
            role: OnceLock::new(),
        };
        (supervisor, receiver)
    }

    /// Until cancelled. A newer wish ends the preparation of an older one.
    pub async fn run(mut self, token: CancellationToken) {
        loop {
            let wanted = self.wanted.borrow_and_update().clone();
            let mut newer = self.wanted.clone();
            let retry = tokio::select! {
                () = token.cancelled() => return,
                changed = newer.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                },
                retry = self.fulfil(wanted) => retry,
            };
            let waited = async {
                match retry {
                    Some(after) => tokio::time::sleep(after).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = token.cancelled() => return,
                changed = newer.changed() => if changed.is_err() { return },
                () = waited => {}
            }
        }
    }

    /// After how long to try again, if that can help.
    async fn fulfil(&self, wanted: Wanted) -> Option<Duration> {
        match wanted {
            Wanted::Run { config, .. } => {
                self.status.set_file(config.source.to_string());
                let is_pinned = config.sha256.is_some();
                let newest = self
                    .kit
                    .prepare(self.status.name(), &config, self.status.metrics())
                    .await;
                if self.versions.borrow().is_none() {
                    self.resume(&config, &newest).await;
                }
                match newest {
                    // Kept first: what is seen to run is found again after a restart.
                    Ok(prepared) => {
                        if self.may_run(&prepared, is_pinned) && self.keep(&config, &prepared).await
                        {
                            self.publish(prepared);
                        }
                    }
                    Err(error) => return self.refuse(&error),
                }
            }
            Wanted::Describe { file, .. } => {
                match self.kit.describe(&file, self.status.metrics()).await {
                    Ok((identity, toml)) => self.status.described(identity, toml),
                    Err(error) => self.reject(&error),
                }
            }
            Wanted::Missing { file } => self.withdraw(&PrepareError::Missing(file)),
        }
        None
    }

    /// After a restart, what ran before it runs on where its file asks for more by now, or
    /// is none that can be taken.
    async fn resume(&self, config: &PluginConfig, newest: &Result<Prepared, PrepareError>) {
        let may_wait = match newest {
            Ok(prepared) => !prepared.accepted.missing.lines.is_empty(),
            Err(error) => error.is_about_the_file(),
        };
        let name = self.status.name();
        let Some(kept) = self.kit.kept.find(name).await.filter(|_| may_wait) else {
            return;
        };
        let is_newest = |it: &Prepared| it.version.module.digest() == kept.digest;
        if newest.as_ref().is_ok_and(is_newest) {
            return;
        }
        let metrics = self.status.metrics();
        let prepared = self.kit.prepare_kept(name, config, &kept, metrics);
        let Ok(old) = prepared.await else {
            return;
        };
        let lacks = &old.accepted.missing;
        if newest
            .as_ref()
            .map_or(true, |it| it.accepted.missing.is_more_than(lacks))
        {
            self.publish(old);
        }
    }

    /// False where another file has come in its place, which is looked at next.
    async fn keep(&self, config: &PluginConfig, prepared: &Prepared) -> bool {
        let digest = prepared.version.module.digest();
        let keeping = self.kit.keep(self.status.name(), &config.source, digest);
        keeping.await
    }

    /// Whoever has pinned a file by its digest has looked at what it asks for.
    fn may_run(&self, prepared: &Prepared, is_pinned: bool) -> bool {
        let Prepared { version, accepted } = prepared;
        let role = version.module.role();
        if self.role.get().is_some_and(|before| *before != role) {
            self.status.rejected(format!(
                "{} has the role {}, what ran before has another: give it a `[plugin.NAME]` of \
                 its own",
                version.label(),
                role.as_str()
            ));
            return false;
        }
        let before = self.versions.borrow().clone();
        let Some(before) = before else {
            return true;
        };
        let is_new_file = before.module.digest() != version.module.digest();
        if is_new_file && !is_pinned && accepted.missing.is_more_than(&self.status.lacks()) {
            let digest = version.module.digest();
            let missing = accepted.missing.clone();
            self.status.waits_for_approval(missing, digest);
            return false;
        }
        true
    }

    fn publish(&self, Prepared { version, accepted }: Prepared) {
        let _ = self.role.set(version.module.role());
        self.versions.send_replace(Some(Arc::new(version)));
        self.status.accepted(accepted);
    }

    fn refuse(&self, error: &PrepareError) -> Option<Duration> {
        if matches!(error, PrepareError::Missing(_)) {
            self.withdraw(error);
            return None;
        }
        self.reject(error);
        error.may_pass().then_some(RETRY_AFTER)
    }

    fn reject(&self, error: &PrepareError) {
        if let Some(kind) = error.kind() {
            self.status.metrics().faults.add(kind);
        }
        self.status.rejected(error.to_string());
    }

    fn withdraw(&self, error: &PrepareError) {
        self.versions.send_replace(None);
        self.status.missing(error.to_string());
    }
}

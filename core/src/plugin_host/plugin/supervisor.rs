use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Kit, PluginStatus, Version, Versions, prepare::Prepared, prepare_error::PrepareError};
use crate::{
    model::PluginRole,
    plugin_host::{
        clip::clipped,
        config::{PluginConfig, Source},
        folder::Stamp,
    },
};

/// How soon what may have passed is tried again, as a secret that was not there.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// How soon what the compiler did not get done with is compiled again: twice as long each
/// time, since a file that is made for it takes a processor for minutes.
const COMPILE_FIRST: Duration = Duration::from_secs(2 * 60);
const COMPILE_MAX: Duration = Duration::from_secs(60 * 60);

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

/// Why a version that could run does not.
enum Objection {
    OtherRole,
    AsksForMore,
}

impl Wanted {
    /// Whether the same file is to run otherwise: with another configuration, or, where
    /// nothing of the wish has changed, with another secret.
    fn reconfigures(&self, before: Option<&Self>) -> bool {
        match (before, self) {
            (Some(Self::Run { config: old, .. }), Self::Run { config: new, .. }) => {
                old != new || before == Some(self)
            }
            _ => false,
        }
    }
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
    /// So often the compiler did not get done with what is wanted.
    compiles_failed: u32,
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
            compiles_failed: 0,
        };
        (supervisor, receiver)
    }

    /// Until cancelled. A newer wish ends the preparation of an older one.
    pub async fn run(mut self, token: CancellationToken) {
        let (mut before, mut is_outdated) = (None, false);
        loop {
            let wanted = self.wanted.borrow_and_update().clone();
            let mut newer = self.wanted.clone();
            // Until something has been published that says otherwise.
            is_outdated |= wanted.reconfigures(before.as_ref());
            before = Some(wanted.clone());
            let retry = tokio::select! {
                () = token.cancelled() => return,
                changed = newer.changed() => match changed {
                    Ok(()) => {
                        self.compiles_failed = 0;
                        continue;
                    }
                    Err(_) => return,
                },
                retry = self.fulfil(wanted, &mut is_outdated) => retry,
            };
            let waited = async {
                match retry {
                    Some(after) => tokio::time::sleep(after).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = token.cancelled() => return,
                changed = newer.changed() => match changed {
                    Ok(()) => self.compiles_failed = 0,
                    Err(_) => return,
                },
                // It is no news.
                () = waited => before = None,
            }
        }
    }

    /// After how long to try again, if that can help. `is_outdated`: what runs was
    /// configured otherwise.
    async fn fulfil(&mut self, wanted: Wanted, is_outdated: &mut bool) -> Option<Duration> {
        match wanted {
            Wanted::Run { config, .. } => {
                self.status.set_file(config.source.to_string());
                let newest = self
                    .kit
                    .prepare(self.status.name(), &config, self.status.metrics())
                    .await;
                if self.versions.borrow().is_none() {
                    self.resume(&config, &newest).await;
                }
                let is_pinned = config.sha256.is_some();
                let objection = match &newest {
                    Ok(prepared) => self.objection(prepared, is_pinned),
                    Err(_) => None,
                };
                let is_refused = objection.is_some()
                    || newest.as_ref().is_err_and(PrepareError::is_about_the_file);
                let mut retry = None;
                if is_refused && *is_outdated {
                    *is_outdated = !self.refresh(&config).await;
                    retry = is_outdated.then_some(RETRY_AFTER);
                }
                match (newest, objection) {
                    // Kept first: what is seen to run is found again after a restart.
                    (Ok(prepared), None) => {
                        if self.keep(&config, &prepared).await {
                            self.publish(prepared);
                            *is_outdated = false;
                        }
                    }
                    (Ok(prepared), Some(objection)) => self.object(&prepared, objection),
                    (Err(error), _) => return self.refuse(&error).or(retry),
                }
                return retry;
            }
            Wanted::Describe { file, .. } => {
                match self.kit.describe(&file, self.status.metrics()).await {
                    Ok((identity, toml)) => self.status.described(identity, toml),
                    Err(error) => return self.refuse(&error),
                }
            }
            Wanted::Missing { file } => self.withdraw(&PrepareError::Missing(file)),
        }
        None
    }

    /// After a restart, what ran before it runs on where its file asks for more by now, or
    /// is none that can be taken; not where it is the one that was pinned.
    async fn resume(&self, config: &PluginConfig, newest: &Result<Prepared, PrepareError>) {
        if matches!(config.source, Source::Builtin(_)) {
            return;
        }
        let may_wait = match newest {
            Ok(prepared) => config.sha256.is_none() && !prepared.accepted.missing.lines.is_empty(),
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

    /// What runs on, since its newer file is not taken, follows its configuration all the
    /// same: a secret that was changed, a grant that was taken back. False where it should
    /// be tried again.
    async fn refresh(&self, config: &PluginConfig) -> bool {
        let name = self.status.name();
        let running = self.versions.borrow().clone();
        let (Some(running), Some(kept)) = (running, self.kit.kept.find(name).await) else {
            return true;
        };
        if kept.digest != running.module.digest() {
            return true;
        }
        let metrics = self.status.metrics();
        match (self.kit.prepare_kept(name, config, &kept, metrics)).await {
            Ok(same) => {
                self.publish(same);
                true
            }
            Err(error) => {
                let error = clipped(error.to_string());
                tracing::warn!(
                    plugin = name,
                    error,
                    "what runs cannot follow its configuration"
                );
                false
            }
        }
    }

    /// False where another file has come in its place, which is looked at next.
    async fn keep(&self, config: &PluginConfig, prepared: &Prepared) -> bool {
        let digest = prepared.version.module.digest();
        let keeping = self.kit.keep(self.status.name(), &config.source, digest);
        keeping.await
    }

    /// Whoever has pinned a file by its digest has looked at what it asks for.
    fn objection(&self, prepared: &Prepared, is_pinned: bool) -> Option<Objection> {
        let Prepared { version, accepted } = prepared;
        let role = version.module.role();
        if self.role.get().is_some_and(|before| *before != role) {
            return Some(Objection::OtherRole);
        }
        let before = self.versions.borrow().clone()?;
        let is_new_file = before.module.digest() != version.module.digest();
        let asks_for_more = accepted.missing.is_more_than(&self.status.lacks());
        (is_new_file && !is_pinned && asks_for_more).then_some(Objection::AsksForMore)
    }

    fn object(&self, prepared: &Prepared, objection: Objection) {
        let Prepared { version, accepted } = prepared;
        match objection {
            Objection::OtherRole => self.status.rejected(format!(
                "{} has the role {}, what ran before has another: give it a `[plugin.NAME]` of \
                 its own",
                version.label(),
                version.module.role().as_str()
            )),
            Objection::AsksForMore => {
                let missing = accepted.missing.clone();
                self.status
                    .waits_for_approval(missing, version.module.digest());
            }
        }
    }

    fn publish(&self, Prepared { version, accepted }: Prepared) {
        let _ = self.role.set(version.module.role());
        self.versions.send_replace(Some(Arc::new(version)));
        self.status.accepted(accepted);
    }

    fn refuse(&mut self, error: &PrepareError) -> Option<Duration> {
        if matches!(error, PrepareError::Missing(_)) {
            self.withdraw(error);
            return Some(RETRY_AFTER);
        }
        if error.is_of_the_compiler() {
            let pause = compile_again_after(self.compiles_failed);
            self.compiles_failed = self.compiles_failed.saturating_add(1);
            let minutes = pause.as_secs() / 60;
            self.reject(
                error,
                &format!("; it is compiled again in {minutes} minutes"),
            );
            return Some(pause);
        }
        let runs_on = matches!(error, PrepareError::Config(_)) && self.versions.borrow().is_some();
        self.reject(
            error,
            if runs_on {
                "; what was set before is in force until the server is restarted"
            } else {
                ""
            },
        );
        error.may_pass().then_some(RETRY_AFTER)
    }

    fn reject(&self, error: &PrepareError, what_follows: &str) {
        if let Some(kind) = error.kind() {
            self.status.metrics().faults.add(kind);
        }
        let error = clipped(error.to_string());
        self.status.rejected(format!("{error}{what_follows}"));
    }

    fn withdraw(&self, error: &PrepareError) {
        self.versions.send_replace(None);
        self.status.missing(error.to_string());
    }
}

fn compile_again_after(failed_before: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(failed_before);
    COMPILE_FIRST.saturating_mul(doubled).min(COMPILE_MAX)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        events::Log,
        plugin_host::{
            capabilities::Trust,
            compile::Compiler,
            config::FileConfig,
            plugin::{KeptFiles, SecretFiles},
            sandbox::Sandbox,
        },
        store::{Keyring, SealedSecrets, Store},
    };

    /// The eight bytes that a component begins with.
    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn pauses_between_compilations_double_up_to_an_hour() {
        let minutes = |failed| compile_again_after(failed).as_secs() / 60;
        assert_eq!([0, 1, 2, 4, 5, 6].map(minutes), [2, 4, 8, 32, 60, 60]);
        assert_eq!(minutes(u32::MAX), 60);
    }

    /// Of a plugin whose compiler is this program, with what it is to run.
    fn compiled_by(program: &str, dir: &Path) -> (Supervisor, Wanted) {
        let folder = dir.join("plugins");
        std::fs::create_dir(&folder).expect("a folder");
        std::fs::write(folder.join("hook.wasm"), COMPONENT).expect("written");
        let (store, _threads) = Store::open(&dir.join("db"), &Log::new()).expect("a store");
        let keyring = Arc::new(Keyring::open(dir).expect("a key"));
        let compiler = Compiler::new(program.into(), dir.join("cache"), keyring.clone());
        let kit = Kit {
            sandbox: Sandbox::new().expect("a sandbox"),
            compiler: Arc::new(compiler),
            secrets: SealedSecrets::new(store.clone(), keyring),
            secret_files: SecretFiles::default(),
            store,
            folder,
            kept: KeptFiles::new(dir.join("accepted")),
            blocked: Vec::new(),
            trust: Trust::default(),
            rehearsal: None,
        };
        let toml = "[plugin.hook]\nfile = \"hook.wasm\"\n";
        let config = FileConfig::parse("hook.toml", toml).expect("a configuration");
        let wanted = Wanted::Run {
            config: Box::new(config.plugins["hook"].clone()),
            stamp: None,
        };
        let status = Arc::new(PluginStatus::new("hook", "hook.wasm".into(), None));
        let (_, receiver) = watch::channel(wanted.clone());
        (Supervisor::new(kit, status, receiver).0, wanted)
    }

    async fn is_compiled_again(supervisor: &mut Supervisor, wanted: &Wanted, minutes: u64) {
        let retry = supervisor.fulfil(wanted.clone(), &mut false).await;
        assert_eq!(retry, Some(Duration::from_secs(minutes * 60)));
        let error = supervisor.status.error().expect("it is refused");
        let expected = format!("; it is compiled again in {minutes} minutes");
        assert!(error.ends_with(&expected), "{error}");
    }

    #[tokio::test]
    async fn what_the_compiler_did_not_get_done_with_is_compiled_again_ever_later() {
        let dir = tempfile::tempdir().expect("a directory");
        // It ends at once, and has no verdict.
        let (mut supervisor, wanted) = compiled_by("/bin/false", dir.path());
        for minutes in [2, 4, 8] {
            is_compiled_again(&mut supervisor, &wanted, minutes).await;
        }
    }

    #[tokio::test]
    async fn a_file_that_no_configuration_names_is_compiled_again_as_well() {
        let dir = tempfile::tempdir().expect("a directory");
        let (mut supervisor, _) = compiled_by("/bin/false", dir.path());
        let file = dir.path().join("plugins/hook.wasm");
        let wanted = Wanted::Describe {
            file: "hook.wasm".into(),
            stamp: Stamp::of(&file.metadata().expect("a file")),
        };
        for minutes in [2, 4] {
            is_compiled_again(&mut supervisor, &wanted, minutes).await;
        }
    }

    #[tokio::test]
    async fn what_does_not_load_is_not_found_in_the_cache_again() {
        let dir = tempfile::tempdir().expect("a directory");
        // What it says is no machine code.
        let (mut supervisor, wanted) = compiled_by("/bin/echo", dir.path());
        is_compiled_again(&mut supervisor, &wanted, 2).await;
        let error = supervisor.status.error().expect("it is refused");
        assert!(error.contains("it cannot be loaded"), "{error}");
        let cached = std::fs::read_dir(dir.path().join("cache")).expect("a folder");
        assert_eq!(cached.count(), 0);
    }
}

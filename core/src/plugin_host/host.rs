use std::{
    io,
    net::SocketAddr,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::{Notify, Semaphore, oneshot},
};
use tokio_util::sync::CancellationToken;

use super::{
    HostError,
    capabilities::Trust,
    compile::Compiler,
    delivery::TestRequested,
    folder::Folder,
    forget::ForgetAfter,
    live::Live,
    plugin::{KeptFiles, Kit, SecretFiles},
    sandbox::{GuestEvent, Sandbox},
    watch,
};
use crate::{
    events::Bus,
    model::{Principal, Severity, TestOutcome, Timestamp},
    store::{Keyring, SealedSecrets, Store},
};

/// How often the folder is looked at, whatever the watcher says.
const RESCAN: Duration = Duration::from_secs(10);
/// How soon a file that is still being written is looked at again.
const SETTLE: Duration = Duration::from_millis(100);
/// A sink's own limits end a test sooner.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// What the composition root hands over.
pub struct HostParts {
    pub store: Store,
    pub bus: Bus,
    pub keyring: Arc<Keyring>,
    /// Where plugins and their configuration are put.
    pub folder: PathBuf,
    /// Where compiled plugins are kept.
    pub cache: PathBuf,
    /// Where the files that plugins run with are kept.
    pub accepted: PathBuf,
    /// Our own binary, which compiles in a process of its own.
    pub compiler: PathBuf,
    pub public_url: Option<String>,
    /// What no plugin may reach, whatever it is granted: our own address, and the
    /// engine's.
    pub blocked: Vec<SocketAddr>,
    /// Runs guests, apart from HTTP, Docker and event streams.
    pub runtime: Handle,
    pub forget_after: ForgetAfter,
}

/// All plugins and pipelines. Cheap to clone.
#[derive(Clone)]
pub struct PluginHost(Arc<Shared>);

pub(super) struct Shared {
    pub kit: Kit,
    pub bus: Bus,
    pub store: Store,
    pub public_url: Option<String>,
    pub runtime: Handle,
    pub forget_after: ForgetAfter,
    pub started_at: Timestamp,
    /// One at a time.
    pub dry_runs: Semaphore,
    /// Whoever writes one.
    pub grants: tokio::sync::Mutex<()>,
    live: Mutex<Live>,
}

impl PluginHost {
    pub fn new(parts: HostParts) -> Result<Self, HostError> {
        let HostParts {
            store,
            bus,
            keyring,
            folder,
            cache,
            accepted,
            compiler,
            public_url,
            blocked,
            runtime,
            forget_after,
        } = parts;
        make_folder(&folder).map_err(|error| HostError::Folder {
            folder: folder.display().to_string(),
            reason: error.to_string(),
        })?;
        let kit = Kit {
            sandbox: Sandbox::new()?,
            compiler: Arc::new(Compiler::new(compiler, cache, keyring.clone())),
            store: store.clone(),
            secrets: SealedSecrets::new(store.clone(), keyring),
            secret_files: SecretFiles::default(),
            folder,
            kept: KeptFiles::new(accepted),
            blocked,
            trust: Trust::default(),
            rehearsal: None,
        };
        Ok(Self(Arc::new(Shared {
            kit,
            bus,
            store,
            public_url,
            runtime,
            forget_after,
            started_at: Timestamp::now(),
            dry_runs: Semaphore::new(1),
            grants: tokio::sync::Mutex::default(),
            live: Mutex::default(),
        })))
    }

    /// Keeps what runs as the folder says, until cancelled; then ends it.
    pub async fn run(self, token: CancellationToken) {
        let poke = Arc::new(Notify::new());
        let _watcher = watch::watch(self.folder(), poke.clone());
        let mut folder = Folder::new(self.folder().to_owned());
        while !token.is_cancelled() {
            let seen;
            (folder, seen) = scan(folder).await;
            if seen.is_some() {
                self.reconcile(folder.view());
            }
            if seen == Some(true) {
                self.forget(folder.view()).await;
            }
            let again = if seen == Some(false) { SETTLE } else { RESCAN };
            tokio::select! {
                () = token.cancelled() => {}
                () = poke.notified() => {}
                () = self.one_has_ended() => {}
                () = tokio::time::sleep(again) => {}
            }
        }
        self.end_all().await;
    }

    /// Sends a test through a sink, as it is configured now.
    pub async fn test(&self, _: &Principal, plugin: &str) -> Result<TestOutcome, HostError> {
        let mailbox = {
            let live = self.live();
            let found = live
                .plugins
                .get(plugin)
                .ok_or_else(|| not_found("plugin", plugin))?;
            found.test_mailbox()?
        };
        let (reply, answer) = oneshot::channel();
        let event = self.test_event();
        mailbox
            .try_send(TestRequested { event, reply })
            .map_err(|_| HostError::Busy(plugin.to_owned()))?;
        tokio::time::timeout(TEST_TIMEOUT, answer)
            .await
            .map_err(|_| HostError::Busy(plugin.to_owned()))?
            .map_err(|_| HostError::Conflict(format!("plugin `{plugin}` was changed meanwhile")))
    }

    /// Ends the quarantine of a plugin before its time.
    pub fn resume(&self, _: &Principal, name: &str) -> Result<(), HostError> {
        let status = match self.live().plugins.get(name) {
            Some(plugin) => plugin.status.clone(),
            None => return Err(not_found("plugin", name)),
        };
        if status.resume() {
            return Ok(());
        }
        Err(HostError::Conflict(format!(
            "plugin `{name}` is {}: only a quarantined one is resumed",
            status.state().as_str()
        )))
    }

    /// Where plugins and their configuration are put.
    pub fn folder(&self) -> &Path {
        &self.0.kit.folder
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }

    pub(super) fn live(&self) -> MutexGuard<'_, Live> {
        self.0.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn test_event(&self) -> GuestEvent {
        let payload = serde_json::json!({
            "deploy_id": 0, "project": "test", "stage": "prod", "generation": 0,
            "status": "succeeded", "image": "test:latest",
            "message": "This is a test: no deploy was made.",
        });
        GuestEvent {
            id: u64::try_from(self.0.bus.head().id.0).unwrap_or(0),
            kind: "deploy_status".into(),
            time: Timestamp::now().to_string(),
            node: "test".into(),
            subject: "test/prod/deploys/0".into(),
            severity: Severity::Info,
            actor: "user:local".into(),
            cause: None,
            payload: payload.to_string(),
            annotations: "{}".into(),
        }
    }
}

pub(super) fn not_found(kind: &'static str, name: &str) -> HostError {
    HostError::NotFound {
        kind,
        name: name.to_owned(),
    }
}

/// Looks at the folder off the async threads, and says whether every file has
/// settled. `None` where it could not be read: that changes nothing.
async fn scan(mut folder: Folder) -> (Folder, Option<bool>) {
    let path = folder.path().to_owned();
    let scanning = tokio::task::spawn_blocking(move || {
        let settled = folder.scan();
        (folder, settled)
    });
    match scanning.await {
        Ok((folder, Ok(settled))) => (folder, Some(settled)),
        Ok((folder, Err(error))) => {
            tracing::warn!(%error, folder = %path.display(), "the plugins folder cannot be read");
            (folder, None)
        }
        Err(panic) => {
            tracing::error!(%panic, "looking at the plugins folder failed");
            (Folder::new(path), None)
        }
    }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

use std::{
    borrow::Cow,
    collections::BTreeMap,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sha2::{Digest, Sha256};

use super::{
    Version,
    grants::{self, Missing},
    kept::{Kept, KeptFiles},
    label,
    runner::describe_fields,
    schema, short,
    status::{Accepted, Identity},
};
use crate::{
    config,
    model::{Granted, Timestamp},
    plugin_host::{
        builtin,
        capabilities::{
            GrantError, HttpAccess, HttpGrants, PluginLog, PluginValues, Rehearsal, SecretValue,
            Secrets, Trust,
        },
        compile::{CompileError, Compiler},
        config::{PluginConfig, SecretConfig, SecretSource, Source},
        metrics::{FaultKind, Metrics},
        sandbox::{
            Description, Fault, Guest, Limits, LoadError, Module, Sandbox, SandboxError, Setup,
        },
    },
    store::{SealedSecrets, SecretError, Store},
};

/// A component is not larger than this.
const WASM_BYTES_MAX: u64 = 64 << 20;
const SECRET_FILE_TIMEOUT: Duration = Duration::from_secs(5);

/// What every preparation needs.
#[derive(Clone)]
pub struct Kit {
    pub sandbox: Sandbox,
    pub compiler: Arc<Compiler>,
    pub store: Store,
    pub secrets: SealedSecrets,
    pub folder: PathBuf,
    pub kept: KeptFiles,
    /// Addresses that no plugin may ever reach: our own, and the engine's.
    pub blocked: Vec<SocketAddr>,
    pub trust: Trust,
    /// Set for versions that only rehearse.
    pub rehearsal: Option<Arc<Rehearsal>>,
}

/// Why a version cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    #[error("the file `{0}` is not in the plugins folder")]
    Missing(String),
    #[error("there is no built-in plugin `{name}`; there are: {}", known.join(", "))]
    NoBuiltin { name: String, known: Vec<String> },
    #[error("the file cannot be read: {0}")]
    Unreadable(String),
    #[error("the file of {bytes} bytes is over the limit of {} MiB", WASM_BYTES_MAX >> 20)]
    TooLarge { bytes: u64 },
    #[error("the file's digest is {found}: set sha256 = \"{found}\" once you have looked at it")]
    OtherDigest { found: String },
    /// `which` names it, as far as it is known.
    #[error("{which}: {problem}")]
    File { which: String, problem: FileProblem },
    #[error("configuration: {0}")]
    Config(String),
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// May go away by itself, so it is tried again.
    #[error("secret `{name}`: {reason}")]
    Secret { name: String, reason: String },
    #[error("{0}")]
    SecretTo(String),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
}

impl PrepareError {
    /// Rather than about its configuration, or because it is gone.
    pub(super) const fn is_about_the_file(&self) -> bool {
        matches!(
            self,
            Self::Unreadable(_)
                | Self::TooLarge { .. }
                | Self::OtherDigest { .. }
                | Self::File { .. }
        )
    }
}

/// What is wrong with a file itself.
#[derive(Debug, thiserror::Error)]
pub enum FileProblem {
    #[error(transparent)]
    Compile(#[from] CompileError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("it cannot be started: {0}")]
    Fault(#[from] Fault),
}

impl PrepareError {
    /// What is wrong with the plugin; `None` where that is its configuration, or
    /// the machine.
    pub(super) fn kind(&self) -> Option<FaultKind> {
        match self {
            Self::TooLarge { .. } => Some(FaultKind::TooLarge),
            Self::File { problem, .. } => Some(problem.kind()),
            Self::Missing(_)
            | Self::NoBuiltin { .. }
            | Self::Unreadable(_)
            | Self::OtherDigest { .. }
            | Self::Config(_)
            | Self::Grant(_)
            | Self::Secret { .. }
            | Self::SecretTo(_)
            | Self::Sandbox(_) => None,
        }
    }
}

impl FileProblem {
    fn kind(&self) -> FaultKind {
        match self {
            Self::Compile(problem) => problem.kind(),
            Self::Load(problem) => problem.kind(),
            Self::Fault(fault) => fault.kind(),
        }
    }
}

/// A version that can be used, and what people want to know of it.
pub struct Prepared {
    pub version: Version,
    pub accepted: Accepted,
}

impl Kit {
    /// File → digest → machine code → description → configuration. May be
    /// dropped at any await.
    pub async fn prepare(
        &self,
        plugin: &str,
        config: &PluginConfig,
        metrics: &Arc<Metrics>,
    ) -> Result<Prepared, PrepareError> {
        let pinned = config.sha256.as_deref();
        let module = self.load(&config.source, pinned, metrics).await?;
        let setup = self.setup(plugin, &module, config, metrics).await?;
        let (mut guest, description) = self.start(&config.source, &module, &setup).await?;
        let text = config.config.to_string();
        let number = description.version.clone();
        let in_version =
            |fault: Fault| blame(&config.source, module.digest(), Some(&number), fault);
        let schema = schema::compile(&description.config_schema).map_err(|problem| {
            let problem = format!("the `config-schema` of `describe`: {problem}");
            in_version(Fault::BadAnswer(problem))
        })?;
        schema::check(&config.config, &schema).map_err(PrepareError::Config)?;
        guest
            .configure(&text)
            .await
            .map_err(in_version)?
            .map_err(|errors| PrepareError::Config(describe_fields(&errors)))?;
        let granted = Granted {
            http: config.grants.http.clone(),
            networks: config
                .grants
                .networks
                .iter()
                .map(ToString::to_string)
                .collect(),
            secrets: config.secrets.keys().cloned().collect(),
        };
        Ok(Prepared {
            accepted: Accepted {
                missing: Missing::of(&description.asked, config),
                log: setup.log.clone(),
                granted,
                identity: identity(&module, description),
            },
            version: Version {
                number,
                module,
                setup,
                config: text,
            },
        })
    }

    /// The same with the file that was kept.
    pub(super) async fn prepare_kept(
        &self,
        plugin: &str,
        config: &PluginConfig,
        kept: &Kept,
        metrics: &Arc<Metrics>,
    ) -> Result<Prepared, PrepareError> {
        let kit = Self {
            folder: kept.folder.clone(),
            ..self.clone()
        };
        kit.prepare(plugin, &kept.configure(config), metrics).await
    }

    /// A restart finds the file again, whatever is in the folder by then. False where
    /// it is another one already.
    pub(super) async fn keep(&self, plugin: &str, source: &Source, digest: &str) -> bool {
        match source {
            Source::File(name) => self.kept.keep(plugin, self.folder.join(name), digest).await,
            Source::Builtin(_) => true,
        }
    }

    /// What a file says of itself, for one that nobody has configured.
    pub(super) async fn describe(
        &self,
        file: &str,
        metrics: &Arc<Metrics>,
    ) -> Result<(Identity, String), PrepareError> {
        let source = Source::File(file.to_owned());
        let module = self.load(&source, None, metrics).await?;
        let setup = Setup {
            plugin: file.to_owned(),
            limits: Limits::for_role(module.role()),
            log: PluginLog::new(file, Secrets::default().scrubber()),
            http: self.http(HttpGrants::default())?,
            secrets: Secrets::default(),
            values: PluginValues::new(self.store.clone(), file),
            metrics: metrics.clone(),
            rehearsal: None,
        };
        let (_, description) = self.start(&source, &module, &setup).await?;
        let toml = grants::suggest(
            file,
            module.role().as_str(),
            &description.asked,
            &description.config_schema,
        );
        Ok((identity(&module, description), toml))
    }

    async fn start(
        &self,
        source: &Source,
        module: &Module,
        setup: &Setup,
    ) -> Result<(Guest, Description), PrepareError> {
        let failed = |fault: Fault| blame(source, module.digest(), None, fault);
        let mut guest = Guest::start(&self.sandbox, module, setup)
            .await
            .map_err(failed)?;
        let description = guest.describe().await.map_err(failed)?;
        Ok((guest, description))
    }

    async fn load(
        &self,
        source: &Source,
        pinned: Option<&str>,
        metrics: &Metrics,
    ) -> Result<Module, PrepareError> {
        let wasm = self.read(source).await?;
        let digest = hex::encode(Sha256::digest(&wasm));
        if pinned.is_some_and(|pinned| pinned != digest) {
            return Err(PrepareError::OtherDigest { found: digest });
        }
        let compiled = self.compiler.compile(&wasm, &digest).await;
        let compiled = compiled.map_err(|problem| blame(source, &digest, None, problem))?;
        drop(wasm);
        if compiled.cache_was_tampered_with() {
            metrics.faults.add(FaultKind::TamperedCache);
        }
        let sandbox = self.sandbox.clone();
        let loading = tokio::task::spawn_blocking(move || sandbox.load(&compiled));
        let loaded = loading.await.unwrap_or_else(|panic| {
            Err(LoadError::Broken(format!("loading it panicked: {panic}")))
        });
        loaded.map_err(|problem| blame(source, &digest, None, problem))
    }

    async fn read(&self, source: &Source) -> Result<Cow<'static, [u8]>, PrepareError> {
        let name = match source {
            Source::Builtin(name) => {
                return builtin::read(name).ok_or_else(|| PrepareError::NoBuiltin {
                    name: name.clone(),
                    known: builtin::names(),
                });
            }
            Source::File(name) => name,
        };
        let path = self.folder.join(name);
        let unreadable = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => PrepareError::Missing(name.clone()),
            _ => PrepareError::Unreadable(error.to_string()),
        };
        let bytes = tokio::fs::metadata(&path).await.map_err(unreadable)?.len();
        if bytes > WASM_BYTES_MAX {
            return Err(PrepareError::TooLarge { bytes });
        }
        let wasm = tokio::fs::read(&path).await.map_err(unreadable)?;
        Ok(Cow::Owned(wasm))
    }

    async fn setup(
        &self,
        plugin: &str,
        module: &Module,
        config: &PluginConfig,
        metrics: &Arc<Metrics>,
    ) -> Result<Setup, PrepareError> {
        let (secrets, values) = match &self.rehearsal {
            None => (
                self.read_secrets(&config.secrets).await?,
                PluginValues::new(self.store.clone(), plugin),
            ),
            Some(_) => (
                unknown_secrets(&config.secrets)?,
                PluginValues::rehearsing(self.store.clone(), plugin),
            ),
        };
        let grants = HttpGrants {
            origins: config.grants.http.clone(),
            networks: config.grants.networks.clone(),
        };
        Ok(Setup {
            plugin: plugin.to_owned(),
            limits: config.limits.over(module.role()),
            log: PluginLog::new(plugin, secrets.scrubber()),
            http: self.http(grants)?,
            values,
            secrets,
            metrics: metrics.clone(),
            rehearsal: self.rehearsal.clone(),
        })
    }

    async fn read_secrets(
        &self,
        configured: &BTreeMap<String, SecretConfig>,
    ) -> Result<Secrets, PrepareError> {
        let mut values = Vec::new();
        for (name, SecretConfig { source, to }) in configured {
            let value = self.read_secret(source).await;
            let value = value.map_err(|reason| PrepareError::Secret {
                name: name.clone(),
                reason,
            })?;
            let to = to.clone();
            values.push((name.clone(), SecretValue { value, to }));
        }
        Secrets::new(values).map_err(PrepareError::SecretTo)
    }

    async fn read_secret(&self, source: &SecretSource) -> Result<String, String> {
        match source {
            SecretSource::Environment(variable) => config::environment(variable)
                .ok_or_else(|| format!("the environment variable {variable} is not set")),
            SecretSource::File(path) => read_secret_file(path).await,
            SecretSource::Store(name) => match self.secrets.value(name).await {
                Ok(Some(value)) => Ok(value),
                Ok(None) => Err(format!(
                    "there is no `{name}` in the sealed store: set it with `tiny-forge secret set {name}`"
                )),
                Err(SecretError::Seal(error)) => Err(format!(
                    "{error}; or set it anew with `tiny-forge secret set {name}`"
                )),
                Err(error @ SecretError::Store(_)) => Err(error.to_string()),
            },
        }
    }

    fn http(&self, grants: HttpGrants) -> Result<HttpAccess, GrantError> {
        let user_agent = concat!("tiny-forge/", env!("CARGO_PKG_VERSION"));
        HttpAccess::new(grants, self.blocked.clone(), user_agent, &self.trust)
    }
}

/// The version is known once the file has described itself.
fn blame(
    source: &Source,
    digest: &str,
    number: Option<&str>,
    problem: impl Into<FileProblem>,
) -> PrepareError {
    let which = match number {
        Some(number) => format!("`{source}`, {}", label(number, digest)),
        None => format!("`{source}` ({})", short(digest)),
    };
    PrepareError::File {
        which,
        problem: problem.into(),
    }
}

fn identity(module: &Module, description: Description) -> Identity {
    Identity {
        role: module.role(),
        contract: module.contract().to_owned(),
        description,
        digest: module.digest().to_owned(),
        loaded_at: Timestamp::now(),
    }
}

/// For a rehearsal, which has no use for their values.
fn unknown_secrets(configured: &BTreeMap<String, SecretConfig>) -> Result<Secrets, PrepareError> {
    let named = configured.iter();
    let named = named.map(|(name, secret)| (name.clone(), secret.to.clone()));
    Secrets::unknown(named).map_err(PrepareError::SecretTo)
}

async fn read_secret_file(path: &Path) -> Result<String, String> {
    let reading = tokio::fs::read_to_string(path);
    let text = tokio::time::timeout(SECRET_FILE_TIMEOUT, reading)
        .await
        .map_err(|_| format!("{} cannot be read in time", path.display()))?
        .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    let value = text.trim_end_matches(['\r', '\n']);
    if value.is_empty() {
        return Err(format!("{} is empty", path.display()));
    }
    Ok(value.to_owned())
}

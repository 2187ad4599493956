use std::{borrow::Cow, io, net::SocketAddr, path::PathBuf, sync::Arc};

use sha2::{Digest, Sha256};

use super::{
    Version,
    asks::add_configured,
    grants::{self, Missing},
    kept::{Kept, KeptFiles},
    prepare_error::{PrepareError, blame},
    runner::describe_fields,
    schema,
    secrets::{self, SecretFiles},
    status::{Accepted, Identity},
};
use crate::{
    model::{Granted, Timestamp},
    plugin_host::{
        builtin,
        capabilities::{
            GrantError, HttpAccess, HttpGrants, PluginLog, PluginValues, Rehearsal, Secrets, Trust,
        },
        compile::{Compiler, WASM_BYTES_MAX},
        config::{PluginConfig, Source},
        metrics::{FaultKind, Metrics},
        sandbox::{Description, Fault, Guest, Limits, LoadError, Module, Sandbox, Setup},
    },
    store::{SealedSecrets, Store},
};

/// What every preparation needs.
#[derive(Clone)]
pub struct Kit {
    pub sandbox: Sandbox,
    pub compiler: Arc<Compiler>,
    pub store: Store,
    pub secrets: SealedSecrets,
    pub secret_files: SecretFiles,
    pub folder: PathBuf,
    pub kept: KeptFiles,
    /// Addresses that no plugin may ever reach: our own, and the engine's.
    pub blocked: Vec<SocketAddr>,
    pub trust: Trust,
    /// Set for versions that only rehearse.
    pub rehearsal: Option<Arc<Rehearsal>>,
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
        let (mut guest, mut description) = self.start(&config.source, &module, &setup).await?;
        let text = config.config.to_string();
        let number = description.version.clone();
        let in_version =
            |fault: Fault| blame(&config.source, module.digest(), Some(&number), fault);
        let schema = description.config_schema.clone();
        let checked = schema::check_apart(schema, config.config.clone()).await;
        checked.map_err(|problem| match problem {
            schema::Problem::Schema(problem) => {
                let problem = format!("the `config-schema` of `describe`: {problem}");
                in_version(Fault::BadAnswer(problem))
            }
            schema::Problem::Config(problem) => PrepareError::Config(problem),
        })?;
        guest
            .configure(&text)
            .await
            .map_err(in_version)?
            .map_err(|errors| PrepareError::Config(describe_fields(&errors)))?;
        add_configured(&mut description, Some(&config.config));
        let stored = self.secrets.names().await.unwrap_or_default();
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
                missing: Missing::of(&description.asked, config, &stored),
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
            Source::Builtin(_) => {
                // What it has taken the place of does not come back.
                self.kept.forget(plugin).await;
                true
            }
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
        let (_, mut description) = self.start(&source, &module, &setup).await?;
        add_configured(&mut description, None);
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
        if matches!(loaded, Err(LoadError::Broken(_))) {
            self.compiler.forget(&digest).await;
        }
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
                secrets::read(&config.secrets, &self.secrets, &self.secret_files).await?,
                PluginValues::new(self.store.clone(), plugin),
            ),
            Some(_) => (
                secrets::unknown(&config.secrets)?,
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

    fn http(&self, grants: HttpGrants) -> Result<HttpAccess, GrantError> {
        let user_agent = concat!("tiny-forge/", env!("CARGO_PKG_VERSION"));
        HttpAccess::new(grants, self.blocked.clone(), user_agent, &self.trust)
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

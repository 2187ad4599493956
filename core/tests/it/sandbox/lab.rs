use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tiny_forge::{
    events::Log,
    model::{PluginRole, Severity},
    plugin_host::{
        capabilities::{
            HttpAccess, HttpGrants, PluginLog, PluginValues, SecretValue, Secrets, Trust,
        },
        compile::{CompileError, Compiled, Compiler},
        sandbox::{Fault, Guest, GuestEvent, Limits, LoadError, Module, Sandbox, Setup},
    },
    store::{Keyring, Store},
};

use super::guest::Source;

pub const SECRET: &str = "correct-horse \"battery\"";

/// A sandbox with everything around it that a guest may use.
pub struct Lab {
    pub sandbox: Sandbox,
    pub compiler: Compiler,
    pub store: Store,
    pub dir: TempDir,
}

impl Lab {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        let database = dir.path().join("test.db");
        let (store, _writer) = Store::open(&database, &Log::new()).expect("a store");
        Self {
            sandbox: Sandbox::new().expect("a sandbox"),
            compiler: compiler(&dir),
            store,
            dir,
        }
    }

    pub async fn compile(&self, wasm: &[u8]) -> Result<Compiled, CompileError> {
        let digest = hex::encode(Sha256::digest(wasm));
        self.compiler.compile(wasm, &digest).await
    }

    pub async fn load(&self, wasm: &[u8]) -> Result<Module, LoadError> {
        let compiled = self.compile(wasm).await.expect("compiled");
        self.sandbox.load(&compiled)
    }

    pub async fn module(&self, source: &Source) -> Module {
        self.load(&source.component()).await.expect("a plugin")
    }

    pub fn setup(&self, role: PluginRole) -> Setup {
        let token = SecretValue {
            value: SECRET.to_owned(),
            to: None,
        };
        let secrets = Secrets::new([("TOKEN".to_owned(), token)]).expect("unbound");
        Setup {
            plugin: "probe".into(),
            limits: Limits::for_role(role),
            log: PluginLog::new("probe", secrets.scrubber()),
            http: http(&[], &[], &[]),
            secrets,
            values: PluginValues::new(self.store.clone(), "probe"),
            metrics: Arc::default(),
            rehearsal: None,
        }
    }

    /// Compiles, loads and starts.
    pub async fn start(&self, source: &Source) -> Result<Guest, Fault> {
        let module = self.module(source).await;
        Guest::start(&self.sandbox, &module, &self.setup(module.role())).await
    }

    pub async fn start_with(&self, source: &Source, change: impl FnOnce(&mut Setup)) -> Guest {
        let module = self.module(source).await;
        let mut setup = self.setup(module.role());
        change(&mut setup);
        let started = Guest::start(&self.sandbox, &module, &setup).await;
        started.unwrap_or_else(|fault| panic!("{fault}"))
    }
}

pub fn compiler(dir: &TempDir) -> Compiler {
    let keyring = Keyring::open(dir.path()).expect("a key");
    let program = PathBuf::from(env!("CARGO_BIN_EXE_tiny-forge"));
    let cache = dir.path().join("cache");
    std::fs::create_dir_all(&cache).expect("a folder");
    Compiler::new(program, cache, Arc::new(keyring))
}

pub fn http(origins: &[&str], networks: &[&str], blocked: &[SocketAddr]) -> HttpAccess {
    let grants = HttpGrants {
        origins: origins.iter().map(|origin| (*origin).to_owned()).collect(),
        networks: networks
            .iter()
            .map(|network| network.parse().expect("a network"))
            .collect(),
    };
    HttpAccess::new(
        grants,
        blocked.to_vec(),
        "tiny-forge/test",
        &Trust::default(),
    )
    .expect("grants")
}

pub fn event() -> GuestEvent {
    GuestEvent {
        id: 7,
        kind: "deploy_status".into(),
        time: "2026-03-27T22:30:25.123Z".into(),
        node: "n-1".into(),
        subject: "shop/prod/deploys/17".into(),
        severity: Severity::Warning,
        actor: "user:alex".into(),
        cause: Some(3),
        payload: r#"{"status":"failed"}"#.into(),
        annotations: "{}".into(),
    }
}

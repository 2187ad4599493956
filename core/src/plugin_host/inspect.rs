//! What a file is, without a server.

use std::{path::PathBuf, sync::Arc};

use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{
    capabilities::{HttpAccess, HttpGrants, PluginLog, PluginValues, Secrets, Trust},
    compile::Compiler,
    plugin::{SchemaProblem, add_configured, check_apart, suggest_toml},
    sandbox::{Guest, Limits, Sandbox, Setup},
};
use crate::{
    events::Log,
    model::{Asked, PluginRole},
    store::{Keyring, Store},
};

/// What a `.wasm` says of itself.
#[derive(Debug, Clone, Serialize)]
pub struct Inspected {
    pub name: String,
    pub version: String,
    pub role: PluginRole,
    /// Version of the plugin contract that it was built for.
    pub contract: String,
    pub description: String,
    /// SHA-256, hex.
    pub digest: String,
    pub size_bytes: usize,
    pub asked: Asked,
    pub config_schema: serde_json::Value,
    pub suggested_toml: String,
}

/// Runs the plugin's `describe` in the same sandbox as a server would, with
/// nothing granted. `program` is our own binary; `file` its name in the folder.
pub async fn inspect(program: PathBuf, file: &str, wasm: &[u8]) -> anyhow::Result<Inspected> {
    // A home for the length of this call: its key, cache and store are nobody's.
    let home = tempfile::tempdir()?;
    let keyring = Keyring::open(home.path())?.into();
    let (store, _writer) = Store::open(&home.path().join("store.db"), &Log::new())?;
    let digest = hex::encode(Sha256::digest(wasm));
    let compiler = Compiler::new(program, home.path().join("cache"), keyring);
    let compiled = compiler.compile(wasm, &digest).await?;
    let sandbox = Sandbox::new()?;
    let module = sandbox.load(&compiled)?;
    let setup = Setup {
        plugin: file.to_owned(),
        limits: Limits::for_role(module.role()),
        log: PluginLog::new(file, Secrets::default().scrubber()),
        http: HttpAccess::new(
            HttpGrants::default(),
            Vec::new(),
            "tiny-forge",
            &Trust::default(),
        )?,
        secrets: Secrets::default(),
        values: PluginValues::new(store, file),
        metrics: Arc::default(),
        rehearsal: None,
    };
    let mut description = Guest::start(&sandbox, &module, &setup)
        .await?
        .describe()
        .await?;
    let schema = description.config_schema.clone();
    if let Err(SchemaProblem::Schema(problem)) = check_apart(schema, json!({})).await {
        anyhow::bail!("the `config-schema` of `describe`: {problem}");
    }
    add_configured(&mut description, None);
    let suggested_toml = suggest_toml(
        file,
        module.role().as_str(),
        &description.asked,
        &description.config_schema,
    );
    Ok(Inspected {
        name: description.name,
        version: description.version,
        role: module.role(),
        contract: module.contract().to_owned(),
        description: description.description,
        digest,
        size_bytes: wasm.len(),
        asked: description.asked,
        config_schema: description.config_schema,
        suggested_toml,
    })
}

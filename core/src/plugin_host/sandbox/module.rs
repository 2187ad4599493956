use std::sync::Arc;

use wasmtime::{
    Store,
    component::{Component, InstancePre, Linker},
};

use super::{
    Fault, HostState, LoadError,
    contract::{Exports, Indices, Names, Recognised},
};
use crate::model::PluginRole;

/// A component that is ready to run: its role and its contract are checked.
/// Cheap to clone.
#[derive(Clone)]
pub struct Module(Arc<Ready>);

struct Ready {
    recognised: Recognised,
    digest: String,
    instance: InstancePre<HostState>,
    indices: Indices,
}

impl Module {
    /// Role and contract come from the names of imports and exports alone: none of
    /// the component's code has run.
    pub(super) fn new(
        linker: &Linker<HostState>,
        component: &Component,
        digest: &str,
    ) -> Result<Self, LoadError> {
        let names = Names::of(&component.component_type(), linker.engine());
        let recognised = names.recognise()?;
        let misfit = |error: wasmtime::Error| LoadError::Misfit {
            contract: recognised.contract.clone(),
            reason: format!("{error:#}"),
        };
        let Recognised { role, epoch, .. } = recognised;
        let instance = linker.instantiate_pre(component).map_err(misfit)?;
        let indices = Indices::new(epoch, role, &instance).map_err(misfit)?;
        Ok(Self(Arc::new(Ready {
            recognised,
            digest: digest.to_owned(),
            instance,
            indices,
        })))
    }

    pub fn role(&self) -> PluginRole {
        self.0.recognised.role
    }

    /// Version of the plugin contract that it was built for.
    pub fn contract(&self) -> &str {
        &self.0.recognised.contract
    }

    /// SHA-256 of the `.wasm`, hex.
    pub fn digest(&self) -> &str {
        &self.0.digest
    }

    /// Runs the component's start functions.
    pub(super) async fn instantiate(
        &self,
        store: &mut Store<HostState>,
    ) -> wasmtime::Result<Exports> {
        let instance = self.0.instance.instantiate_async(&mut *store).await?;
        let exports = self.0.indices.load(store, &instance);
        exports.map_err(|error| {
            let contract = self.contract().to_owned();
            let reason = format!("{error:#}");
            Fault::Misfit { contract, reason }.into()
        })
    }
}

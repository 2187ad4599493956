use std::sync::Arc;

use wasmtime::{
    Store,
    component::{Component, InstancePre, Linker},
};

use super::{HostState, contract::v1};
use crate::model::PluginRole;

const PACKAGE: &str = "tiny-forge:plugin/";
const ROLES: [(&str, PluginRole); 3] = [
    ("filter-role", PluginRole::Filter),
    ("enricher-role", PluginRole::Enricher),
    ("sink-role", PluginRole::Sink),
];

/// Why a compiled component is no plugin of this server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    #[error(
        "it imports WASI ({}), which the sandbox does not have: build it for \
         `wasm32-unknown-unknown`, or with `tiny-forge plugin build`",
        names.join(", ")
    )]
    WasiImport { names: Vec<String> },
    #[error("it imports what this server does not offer: {}", names.join(", "))]
    UnknownImport { names: Vec<String> },
    #[error(
        "it is built for plugin contract {wants}, this server knows {knows}: upgrade the \
         server, or build the plugin with an older SDK"
    )]
    NewerContract { wants: String, knows: String },
    #[error(
        "it is built for plugin contract {wants}, this server knows {knows}: build the \
         plugin with the current SDK"
    )]
    OlderContract { wants: String, knows: String },
    #[error(
        "it has no role: a plugin exports `plugin` and one of `filter-role`, \
         `enricher-role`, `sink-role`"
    )]
    NoRole,
    #[error("it has more than one role ({}): make one plugin of each", roles.join(", "))]
    TwoRoles { roles: Vec<&'static str> },
    #[error("it cannot be loaded: {0}")]
    Broken(String),
}

/// A component that is ready to run: its role and its contract are checked.
/// Cheap to clone.
#[derive(Clone)]
pub struct Module(Arc<Ready>);

struct Ready {
    role: PluginRole,
    digest: String,
    instance: InstancePre<HostState>,
    plugin: v1::plugin::GuestIndices,
    role_exports: RoleIndices,
}

enum RoleIndices {
    Filter(v1::filter_role::GuestIndices),
    Enricher(v1::enricher_role::GuestIndices),
    Sink(v1::sink_role::GuestIndices),
}

/// The functions of one instance.
pub(super) struct Exports {
    pub(super) plugin: v1::plugin::Guest,
    pub(super) role: RoleExports,
}

pub(super) enum RoleExports {
    Filter(v1::filter_role::Guest),
    Enricher(v1::enricher_role::Guest),
    Sink(v1::sink_role::Guest),
}

impl Module {
    pub(super) fn new(
        linker: &Linker<HostState>,
        component: &Component,
        digest: &str,
    ) -> Result<Self, LoadError> {
        let (engine, ty) = (linker.engine(), component.component_type());
        let names = Names {
            imports: ty.imports(engine).map(|(name, _)| name).collect(),
            exports: ty.exports(engine).map(|(name, _)| name).collect(),
        };
        names.check_imports()?;
        let role = names.role()?;
        let broken = |error: wasmtime::Error| LoadError::Broken(format!("{error:#}"));
        let instance = linker.instantiate_pre(component).map_err(broken)?;
        Ok(Self(Arc::new(Ready {
            role,
            digest: digest.to_owned(),
            plugin: v1::plugin::GuestIndices::new(&instance).map_err(broken)?,
            role_exports: RoleIndices::new(role, &instance).map_err(broken)?,
            instance,
        })))
    }

    pub fn role(&self) -> PluginRole {
        self.0.role
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
        let role = match &self.0.role_exports {
            RoleIndices::Filter(found) => RoleExports::Filter(found.load(&mut *store, &instance)?),
            RoleIndices::Enricher(found) => {
                RoleExports::Enricher(found.load(&mut *store, &instance)?)
            }
            RoleIndices::Sink(found) => RoleExports::Sink(found.load(&mut *store, &instance)?),
        };
        Ok(Exports {
            plugin: self.0.plugin.load(&mut *store, &instance)?,
            role,
        })
    }
}

impl RoleIndices {
    fn new(role: PluginRole, instance: &InstancePre<HostState>) -> wasmtime::Result<Self> {
        Ok(match role {
            PluginRole::Filter => Self::Filter(v1::filter_role::GuestIndices::new(instance)?),
            PluginRole::Enricher => Self::Enricher(v1::enricher_role::GuestIndices::new(instance)?),
            PluginRole::Sink => Self::Sink(v1::sink_role::GuestIndices::new(instance)?),
        })
    }
}

/// What a component says that it needs and offers, before any of it runs.
struct Names<'c> {
    imports: Vec<&'c str>,
    exports: Vec<&'c str>,
}

impl Names<'_> {
    fn check_imports(&self) -> Result<(), LoadError> {
        let such = |is_such: &dyn Fn(&str) -> bool| -> Vec<String> {
            let found = self.imports.iter().filter(|name| is_such(name));
            found.map(|name| (*name).to_owned()).collect()
        };
        let wasi = such(&|name| name.starts_with("wasi:"));
        if !wasi.is_empty() {
            return Err(LoadError::WasiImport { names: wasi });
        }
        for (_, version) in self.imports.iter().filter_map(|name| interface(name)) {
            check_version(version)?;
        }
        let is_offered = |name: &str| {
            interface(name).is_some_and(|(interface, _)| v1::IMPORTS.contains(&interface))
        };
        let unknown = such(&|name| !is_offered(name));
        if !unknown.is_empty() {
            return Err(LoadError::UnknownImport { names: unknown });
        }
        Ok(())
    }

    fn role(&self) -> Result<PluginRole, LoadError> {
        let mut found = Vec::new();
        let mut has_plugin = false;
        for (interface, version) in self.exports.iter().filter_map(|name| interface(name)) {
            check_version(version)?;
            has_plugin |= interface == "plugin";
            found.extend(ROLES.into_iter().find(|(name, _)| *name == interface));
        }
        match found[..] {
            [(_, role)] if has_plugin => Ok(role),
            [] | [_] => Err(LoadError::NoRole),
            _ => Err(LoadError::TwoRoles {
                roles: found.into_iter().map(|(name, _)| name).collect(),
            }),
        }
    }
}

/// `tiny-forge:plugin/log@0.1.0` is `("log", "0.1.0")`.
fn interface(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix(PACKAGE)?.split_once('@')
}

/// Versions that only add to each other are as good as the same.
fn check_version(wants: &str) -> Result<(), LoadError> {
    let (own, other) = (epoch(v1::VERSION), epoch(wants));
    let (wants, knows) = (wants.to_owned(), v1::VERSION.to_owned());
    match other.cmp(&own) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(LoadError::NewerContract { wants, knows }),
        std::cmp::Ordering::Less => Err(LoadError::OlderContract { wants, knows }),
    }
}

/// The part of a version that tells incompatible ones apart.
fn epoch(version: &str) -> (u64, u64) {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if major == 0 { (0, minor) } else { (major, 0) }
}

#[cfg(test)]
mod tests {
    use super::{LoadError, check_version};

    #[test]
    fn versions_that_only_add_are_taken() {
        assert_eq!(check_version("0.1.0"), Ok(()));
        assert_eq!(check_version("0.1.7"), Ok(()));
    }

    #[test]
    fn an_incompatible_version_is_named_with_our_own() {
        let newer = check_version("1.2.0");
        assert!(matches!(newer, Err(LoadError::NewerContract { .. })));
        let message = newer.expect_err("newer").to_string();
        assert!(message.contains("contract 1.2.0"), "{message}");
        assert!(message.contains("knows 0.1.0"), "{message}");
        let older = check_version("0.0.9");
        assert!(matches!(older, Err(LoadError::OlderContract { .. })));
    }
}

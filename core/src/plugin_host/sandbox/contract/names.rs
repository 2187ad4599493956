//! What a component says that it needs and offers, by name, before any of it runs.

use wasmtime::{Engine, component::types};

use super::Epoch;
use crate::{model::PluginRole, plugin_host::sandbox::LoadError};

const PACKAGE: &str = "tiny-forge:plugin/";
const ROLES: [(&str, PluginRole); 3] = [
    ("filter-role", PluginRole::Filter),
    ("enricher-role", PluginRole::Enricher),
    ("sink-role", PluginRole::Sink),
];

/// The names of a component's imports and exports.
pub struct Names {
    /// Each interface with the functions that the component takes from it.
    pub imports: Vec<(String, Vec<String>)>,
    pub exports: Vec<String>,
}

/// What a component is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recognised {
    pub role: PluginRole,
    pub epoch: Epoch,
    /// The version that it was built for.
    pub contract: String,
}

impl Names {
    pub fn of(component: &types::Component, engine: &Engine) -> Self {
        let imports = component.imports(engine).map(|(name, import)| {
            let functions = match import.ty {
                types::ComponentItem::ComponentInstance(instance) => {
                    functions_of(&instance, engine)
                }
                _ => Vec::new(),
            };
            (name.to_owned(), functions)
        });
        let exports = component.exports(engine).map(|(name, _)| name.to_owned());
        Self {
            imports: imports.collect(),
            exports: exports.collect(),
        }
    }

    pub fn recognise(&self) -> Result<Recognised, LoadError> {
        self.check_imports()?;
        self.role()
    }

    fn check_imports(&self) -> Result<(), LoadError> {
        let names = self.imports.iter().map(|(name, _)| name);
        let wasi: Vec<String> = names
            .filter(|name| name.starts_with("wasi:"))
            .cloned()
            .collect();
        if !wasi.is_empty() {
            return Err(LoadError::WasiImport { names: wasi });
        }
        let mut newest: Option<&str> = None;
        let mut lacking = Vec::new();
        for (name, functions) in &self.imports {
            let Some((interface, version)) = interface(name) else {
                lacking.push(name.clone());
                continue;
            };
            let epoch = epoch(version)?;
            let lacks = missing(epoch, interface, functions);
            if !lacks.is_empty() && is_newer(version, epoch.offer().version) {
                newest = newest
                    .filter(|known| is_newer(known, version))
                    .or(Some(version));
            }
            lacking.extend(lacks.into_iter().map(|function| match function {
                Some(function) => format!("{name}#{function}"),
                None => name.clone(),
            }));
        }
        match newest {
            _ if lacking.is_empty() => Ok(()),
            Some(wants) => Err(LoadError::NewerImport {
                wants: wants.to_owned(),
                names: lacking,
            }),
            None => Err(LoadError::UnknownImport { names: lacking }),
        }
    }

    fn role(&self) -> Result<Recognised, LoadError> {
        let exports = self.exports.iter().filter_map(|name| interface(name));
        let exports: Vec<(&str, &str)> = exports.collect();
        let mut found = Vec::new();
        for (name, version) in &exports {
            let epoch = epoch(version)?;
            let role = ROLES.into_iter().find(|(role, _)| role == name);
            found.extend(role.map(|(name, role)| (name, role, epoch, *version)));
        }
        let has_plugin = |wanted: Epoch| {
            exports
                .iter()
                .any(|(name, version)| *name == "plugin" && epoch(version) == Ok(wanted))
        };
        match found[..] {
            [(_, role, epoch, version)] if has_plugin(epoch) => Ok(Recognised {
                role,
                epoch,
                contract: version.to_owned(),
            }),
            [] | [_] => Err(no_role(&exports)),
            _ => Err(LoadError::TwoRoles {
                roles: found.into_iter().map(|(name, ..)| name).collect(),
            }),
        }
    }
}

/// It may have one that only later versions know.
fn no_role(exports: &[(&str, &str)]) -> LoadError {
    let mut versions = exports.iter().map(|(_, version)| *version);
    match versions.find(|version| is_newer(version, Epoch::NEWEST.offer().version)) {
        Some(wants) => LoadError::NewerContract {
            wants: wants.to_owned(),
        },
        None => LoadError::NoRole,
    }
}

fn functions_of(instance: &types::ComponentInstance, engine: &Engine) -> Vec<String> {
    let exports = instance.exports(engine);
    exports
        .filter(|(_, export)| matches!(export.ty, types::ComponentItem::ComponentFunc(_)))
        .map(|(name, _)| name.to_owned())
        .collect()
}

/// What a server does not have of an import: functions, or `None` for all of it.
fn missing(epoch: Epoch, interface: &str, functions: &[String]) -> Vec<Option<String>> {
    let offer = epoch.offer();
    let Some((_, offered)) = offer.interfaces.iter().find(|(name, _)| *name == interface) else {
        return vec![None];
    };
    let lacking = functions
        .iter()
        .filter(|name| !offered.contains(&name.as_str()));
    lacking.cloned().map(Some).collect()
}

/// `tiny-forge:plugin/log@1.0.0` is `("log", "1.0.0")`.
fn interface(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix(PACKAGE)?.split_once('@')
}

/// Versions of one epoch only add to each other. A newer one than is known here is
/// no reason to refuse a component: what it lacks may be nothing that it needs.
fn epoch(version: &str) -> Result<Epoch, LoadError> {
    let key = compatible(version);
    let known = Epoch::ALL.into_iter();
    let mut known = known.filter(|epoch| compatible(epoch.offer().version) == key);
    if let Some(epoch) = known.next() {
        return Ok(epoch);
    }
    let wants = version.to_owned();
    Err(if is_newer(version, Epoch::NEWEST.offer().version) {
        LoadError::NewerContract { wants }
    } else {
        LoadError::NoContract { wants }
    })
}

/// The part of a version that tells incompatible ones apart.
fn compatible(version: &str) -> (u64, u64) {
    match numbers(version) {
        [0, minor, _] => (0, minor),
        [major, ..] => (major, 0),
    }
}

fn is_newer(version: &str, than: &str) -> bool {
    numbers(version) > numbers(than)
}

fn numbers(version: &str) -> [u64; 3] {
    let mut parts = version.splitn(3, '.');
    [(); 3].map(|()| parts.next().and_then(|part| part.parse().ok()).unwrap_or(0))
}

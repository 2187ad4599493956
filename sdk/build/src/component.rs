//! From a core module to a component that a server accepts.

use std::collections::BTreeSet;
use std::fmt;

use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, DecodedWasm};

use crate::BuildError;

const CONTRACT: &str = "tiny-forge:plugin/";

/// What a plugin does in a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Filter,
    Enricher,
    Sink,
}

impl Role {
    const ALL: [Self; 3] = [Self::Filter, Self::Enricher, Self::Sink];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Enricher => "enricher",
            Self::Sink => "sink",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

pub(crate) struct Component {
    pub(crate) bytes: Vec<u8>,
    pub(crate) role: Role,
}

/// Wraps a module into a component. Refuses what no server would load: imports
/// beyond the contract, or no role.
pub(crate) fn encode(package: &str, module: &[u8]) -> Result<Component, BuildError> {
    let failed = |error: anyhow::Error| BuildError::Component {
        package: package.to_owned(),
        message: format!("{error:#}"),
    };
    let foreign = foreign_imports(module).map_err(failed)?;
    if !foreign.is_empty() {
        return Err(BuildError::ForeignImports {
            package: package.to_owned(),
            imports: foreign.into_iter().collect::<Vec<_>>().join(", "),
        });
    }
    let bytes = ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|encoder| encoder.encode())
        .map_err(failed)?;
    match role_of(&bytes).map_err(failed)? {
        Some(role) => Ok(Component { bytes, role }),
        None => Err(BuildError::NoRole(package.to_owned())),
    }
}

/// Whom a module imports from, other than the contract's interfaces.
fn foreign_imports(module: &[u8]) -> anyhow::Result<BTreeSet<String>> {
    let mut foreign = BTreeSet::new();
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::ImportSection(imports) = payload? {
            for import in imports.into_imports() {
                let from = import?.module;
                if !from.starts_with(CONTRACT) {
                    foreign.insert(format!("`{from}`"));
                }
            }
        }
    }
    Ok(foreign)
}

/// By the one interface that only this role exports.
fn role_of(component: &[u8]) -> anyhow::Result<Option<Role>> {
    let DecodedWasm::Component(resolve, world) = wit_component::decode(component)? else {
        return Ok(None);
    };
    let exports = &resolve.worlds[world].exports;
    let exports: Vec<String> = exports
        .keys()
        .map(|key| resolve.name_world_key(key))
        .collect();
    Ok(Role::ALL.into_iter().find(|role| {
        let interface = format!("{CONTRACT}{role}-role@");
        exports.iter().any(|export| export.starts_with(&interface))
    }))
}

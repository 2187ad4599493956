//! From a core module to a component that a server accepts.

use std::fmt;

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
    let failed = |error: &dyn fmt::Display| BuildError::Component {
        package: package.to_owned(),
        message: error.to_string(),
    };
    let bytes = ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|encoder| encoder.encode())
        .map_err(|error| failed(&format_args!("{error:#}")))?;
    let role = role_of(package, &bytes)?;
    Ok(Component { bytes, role })
}

fn role_of(package: &str, component: &[u8]) -> Result<Role, BuildError> {
    let decoded = wit_component::decode(component).map_err(|error| BuildError::Component {
        package: package.to_owned(),
        message: format!("{error:#}"),
    })?;
    let DecodedWasm::Component(resolve, world) = decoded else {
        return Err(BuildError::NoRole(package.to_owned()));
    };
    let world = &resolve.worlds[world];
    let names = |items: Vec<_>| -> Vec<String> {
        items
            .into_iter()
            .map(|key| resolve.name_world_key(key))
            .collect()
    };

    let foreign: Vec<String> = names(world.imports.keys().collect())
        .into_iter()
        .filter(|import| !import.starts_with(CONTRACT))
        .map(|import| format!("`{import}`"))
        .collect();
    if !foreign.is_empty() {
        return Err(BuildError::ForeignImports {
            package: package.to_owned(),
            imports: foreign.join(", "),
        });
    }
    let exports = names(world.exports.keys().collect());
    Role::ALL
        .into_iter()
        .find(|role| {
            let interface = format!("{CONTRACT}{role}-role@");
            exports.iter().any(|export| export.starts_with(&interface))
        })
        .ok_or_else(|| BuildError::NoRole(package.to_owned()))
}

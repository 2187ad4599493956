use super::contract::{Epoch, Offer};
use crate::plugin_host::metrics::FaultKind;

/// Why a compiled component is no plugin of this server: what is wrong, and what
/// its author or the operator can do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    #[error(
        "it imports WASI, which the sandbox does not have: {}. Build it with `tiny-forge plugin \
         build`, which compiles for `wasm32-unknown-unknown`; other languages build without \
         WASI or with stubs for it",
        names.join(", ")
    )]
    WasiImport { names: Vec<String> },
    #[error(
        "it imports what this server does not offer: {}. Plugin contract {} has {}: remove the \
         dependency that needs anything else",
        names.join(", "), newest().version, offered()
    )]
    UnknownImport { names: Vec<String> },
    #[error(
        "it is built for plugin contract {wants}, and imports what contract {} of this server \
         does not have: {}. Upgrade tiny-forge, or {}",
        newest().version, names.join(", "), rebuild()
    )]
    NewerImport { wants: String, names: Vec<String> },
    #[error(
        "it is built for plugin contract {wants}, this server knows {}: upgrade tiny-forge, or {}",
        known(),
        rebuild()
    )]
    NewerContract { wants: String },
    #[error(
        "it is built for plugin contract {wants}, which this server does not know; it knows {}: {}",
        known(),
        rebuild()
    )]
    NoContract { wants: String },
    #[error(
        "it has no role: a plugin exports `plugin` and one of `filter-role`, `enricher-role`, \
         `sink-role` of the same plugin contract, as `export_filter!`, `export_enricher!` and \
         `export_sink!` of the SDK do"
    )]
    NoRole,
    #[error("it has more than one role ({}): make one plugin of each", roles.join(", "))]
    TwoRoles { roles: Vec<&'static str> },
    #[error(
        "it does not fit plugin contract {contract}, which it names: {reason}. Build it from \
         that contract as it was published in sdk/wit"
    )]
    Misfit { contract: String, reason: String },
    #[error("it cannot be loaded: {0}")]
    Broken(String),
}

impl LoadError {
    pub(in crate::plugin_host) const fn kind(&self) -> FaultKind {
        match self {
            Self::WasiImport { .. }
            | Self::UnknownImport { .. }
            | Self::NewerImport { .. }
            | Self::NewerContract { .. }
            | Self::NoContract { .. }
            | Self::NoRole
            | Self::TwoRoles { .. } => FaultKind::Contract,
            Self::Misfit { .. } => FaultKind::Misfit,
            Self::Broken(_) => FaultKind::Invalid,
        }
    }
}

fn newest() -> Offer {
    Epoch::NEWEST.offer()
}

fn known() -> String {
    let versions = Epoch::ALL.map(|epoch| epoch.offer().version);
    versions.join(" and ")
}

fn offered() -> String {
    let interfaces = newest().interfaces.iter();
    let names = interfaces.filter(|(_, functions)| !functions.is_empty());
    let names: Vec<String> = names.map(|(name, _)| format!("`{name}`")).collect();
    names.join(", ")
}

fn rebuild() -> &'static str {
    concat!(
        "build it with the SDK of tiny-forge ",
        env!("CARGO_PKG_VERSION")
    )
}

//! Contract version 0.1: Rust types and functions made from the WIT.

/// The version as it stands behind the `@` of every interface.
pub const VERSION: &str = "0.1.0";

/// Interfaces that a component may import.
pub const IMPORTS: [&str; 6] = ["types", "log", "http", "sign", "store", "clock"];

pub use guest::{
    exports::tiny_forge::plugin::{enricher_role, filter_role, plugin, sink_role},
    tiny_forge::plugin::types,
};
pub use host::{
    Offer,
    tiny_forge::plugin::{clock, http, log, sign, store, types as offered_types},
};

/// What the host offers to every role.
mod host {
    wasmtime::component::bindgen!({
        path: "../sdk/wit",
        inline: "
            package tiny-forge:host;
            world offer { include tiny-forge:plugin/imports@0.1.0; }
        ",
        world: "tiny-forge:host/offer",
        imports: { default: async | trappable },
    });
}

/// What guests export: `plugin`, and one of the others.
mod guest {
    wasmtime::component::bindgen!({
        path: "../sdk/wit",
        inline: "
            package tiny-forge:host;
            world guest {
                export tiny-forge:plugin/plugin@0.1.0;
                export tiny-forge:plugin/filter-role@0.1.0;
                export tiny-forge:plugin/enricher-role@0.1.0;
                export tiny-forge:plugin/sink-role@0.1.0;
            }
        ",
        world: "tiny-forge:host/guest",
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: false },
    });
}

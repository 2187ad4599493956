//! Contract version 1, the newest: Rust types and functions made from the WIT, and
//! what they are in the host's own words.

mod filter;

use wasmtime::component::{HasSelf, Linker};

use super::{Offer, exports::exports, json};
use crate::{
    model::{Asked, Severity},
    plugin_host::sandbox::{DeliveryContext, Description, GuestEvent, HostState},
};

use guest::exports::tiny_forge::plugin::{
    enricher_role, filter_role, packed_filter, plugin, sink_role,
};
pub use guest::tiny_forge::plugin::types;
pub use host::tiny_forge::plugin::{clock, http, log, sign, store, types as offered_types};

pub const OFFER: Offer = Offer {
    version: "1.1.0",
    interfaces: &[
        ("types", &[]),
        ("log", &["write"]),
        ("http", &["send"]),
        ("sign", &["hmac-sha256"]),
        ("store", &["get", "set", "delete"]),
        ("clock", &["now-ms"]),
    ],
};

pub fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    host::Offer::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)
}

use filter::{FilterExports, FilterIndices, filter};

exports!();

/// What the host offers to every role.
mod host {
    wasmtime::component::bindgen!({
        path: "../sdk/wit/v1",
        inline: "
            package tiny-forge:host;
            world offer { include tiny-forge:plugin/imports@1.1.0; }
        ",
        world: "tiny-forge:host/offer",
        imports: { default: async | trappable },
    });
}

/// What guests export: `plugin`, and one of the others.
mod guest {
    wasmtime::component::bindgen!({
        path: "../sdk/wit/v1",
        inline: "
            package tiny-forge:host;
            world guest {
                export tiny-forge:plugin/plugin@1.1.0;
                export tiny-forge:plugin/filter-role@1.1.0;
                export tiny-forge:plugin/packed-filter@1.1.0;
                export tiny-forge:plugin/enricher-role@1.1.0;
                export tiny-forge:plugin/sink-role@1.1.0;
            }
        ",
        world: "tiny-forge:host/guest",
        exports: { default: async },
        ownership: Borrowing { duplicate_if_necessary: false },
    });
}

/// The interface of types has no functions.
impl offered_types::Host for HostState {}

pub fn event(event: &GuestEvent) -> types::Event<'_> {
    let GuestEvent {
        id,
        kind,
        time,
        node,
        subject,
        severity,
        actor,
        cause,
        payload,
        annotations,
    } = event;
    types::Event {
        id: *id,
        type_: kind,
        time,
        node,
        subject,
        severity: level(*severity),
        actor,
        cause: *cause,
        payload,
        annotations,
    }
}

const fn level(severity: Severity) -> types::Severity {
    match severity {
        Severity::Debug => types::Severity::Debug,
        Severity::Info => types::Severity::Info,
        Severity::Warning => types::Severity::Warning,
        Severity::Error => types::Severity::Error,
        Severity::Critical => types::Severity::Critical,
    }
}

fn description(answer: plugin::Description) -> Result<Description, String> {
    let plugin::Description {
        name,
        version,
        description,
        config_schema,
        capabilities,
    } = answer;
    Ok(Description {
        name,
        version,
        description,
        config_schema: json::schema(&config_schema)?,
        asked: asked(capabilities)?,
    })
}

/// Names are open, so that later versions can know more of them.
fn asked(capabilities: Vec<plugin::Capability>) -> Result<Asked, String> {
    let mut asked = Asked::default();
    for plugin::Capability { name, values } in capabilities {
        match name.as_str() {
            "http" => asked.http.extend(values),
            "secrets" => asked.secrets.extend(values),
            "store" => asked.store = true,
            _ => {
                return Err(format!(
                    "it asks for the capability `{name}`, which plugin contract {} does not \
                     know: upgrade tiny-forge, or remove what needs it",
                    OFFER.version
                ));
            }
        }
    }
    Ok(asked)
}

//! The contract with guests (`sdk/wit`), one module for each epoch: versions that
//! only add to each other. The host works with the newest; the others are adapters
//! onto it. `sdk/CONTRACT.md` is the policy.

mod exports;
mod names;
mod v0_1;

pub mod json;
pub mod v1;

use std::borrow::Cow;

use futures_util::future::Either;
use wasmtime::{
    Store,
    component::{Instance, InstancePre, Linker},
};

pub use self::names::{Names, Recognised};
use super::{
    Decision, DeliveryContext, DeliveryOutcome, Description, FieldError, GuestEvent, HostState,
};
use crate::model::PluginRole;

/// Oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Epoch {
    V0_1,
    V1,
}

/// What guests of an epoch may import.
pub struct Offer {
    /// The newest version of the epoch that this server knows.
    pub version: &'static str,
    /// Each interface with its functions.
    pub interfaces: &'static [(&'static str, &'static [&'static str])],
}

impl Epoch {
    pub const ALL: [Self; 2] = [Self::V0_1, Self::V1];
    pub const NEWEST: Self = Self::V1;

    pub const fn offer(self) -> Offer {
        match self {
            Self::V0_1 => v0_1::OFFER,
            Self::V1 => v1::OFFER,
        }
    }
}

/// Offers everything, to guests of every epoch.
pub fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    v0_1::add_to_linker(linker)?;
    v1::add_to_linker(linker)
}

/// Where a component has its functions.
pub enum Indices {
    V0_1(v0_1::Indices),
    V1(v1::Indices),
}

/// The functions of one instance, in the host's own words. It is for the caller to
/// know the role.
pub enum Exports {
    V0_1(v0_1::Exports),
    V1(v1::Exports),
}

impl Indices {
    pub fn new(
        epoch: Epoch,
        role: PluginRole,
        of: &InstancePre<HostState>,
    ) -> wasmtime::Result<Self> {
        Ok(match epoch {
            Epoch::V0_1 => Self::V0_1(v0_1::Indices::new(role, of)?),
            Epoch::V1 => Self::V1(v1::Indices::new(role, of)?),
        })
    }

    pub fn load(
        &self,
        store: &mut Store<HostState>,
        instance: &Instance,
    ) -> wasmtime::Result<Exports> {
        Ok(match self {
            Self::V0_1(indices) => Exports::V0_1(indices.load(store, instance)?),
            Self::V1(indices) => Exports::V1(indices.load(store, instance)?),
        })
    }
}

impl Exports {
    /// The inner error says how the description breaks the contract.
    pub async fn describe(
        &self,
        store: &mut Store<HostState>,
    ) -> wasmtime::Result<Result<Description, String>> {
        match self {
            Self::V0_1(guest) => guest.describe(store).await,
            Self::V1(guest) => guest.describe(store).await,
        }
    }

    pub async fn configure(
        &self,
        store: &mut Store<HostState>,
        config: &str,
    ) -> wasmtime::Result<Result<(), Vec<FieldError>>> {
        match self {
            Self::V0_1(guest) => guest.configure(store, config).await,
            Self::V1(guest) => guest.configure(store, config).await,
        }
    }

    /// `texts` is where it may put those of the event together.
    pub fn filter<'a>(
        &'a self,
        store: &'a mut Store<HostState>,
        event: &'a GuestEvent,
        texts: &'a mut String,
    ) -> impl Future<Output = wasmtime::Result<Result<Decision, String>>> + Send + 'a {
        match self {
            Self::V0_1(guest) => Either::Left(guest.filter(store, event, texts)),
            Self::V1(guest) => Either::Right(guest.filter(store, event, texts)),
        }
    }

    /// What is added is JSON text.
    pub fn enrich<'a>(
        &'a self,
        store: &'a mut Store<HostState>,
        event: &'a GuestEvent,
    ) -> impl Future<Output = wasmtime::Result<Result<Option<String>, String>>> + Send + 'a {
        match self {
            Self::V0_1(guest) => Either::Left(guest.enrich(store, event)),
            Self::V1(guest) => Either::Right(guest.enrich(store, event)),
        }
    }

    pub async fn deliver(
        &self,
        store: &mut Store<HostState>,
        context: &DeliveryContext,
        events: &[Cow<'_, GuestEvent>],
    ) -> wasmtime::Result<DeliveryOutcome> {
        match self {
            Self::V0_1(guest) => guest.deliver(store, context, events).await,
            Self::V1(guest) => guest.deliver(store, context, events).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::Path};

    use wit_parser::{Resolve, WorldItem};

    use super::Epoch;

    #[test]
    fn what_is_offered_is_what_the_published_contract_has() {
        for (epoch, folder) in [(Epoch::V0_1, "v0.1"), (Epoch::V1, "v1")] {
            let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/wit");
            let mut resolve = Resolve::default();
            let (package, _) = resolve.push_dir(wit.join(folder)).expect("the contract");
            let world = resolve.select_world(&[package], Some("imports"));
            let imports = &resolve.worlds[world.expect("a world")].imports;
            let functions = |item: &WorldItem| {
                let WorldItem::Interface { id, .. } = item else {
                    panic!("{item:?}");
                };
                let functions = resolve.interfaces[*id].functions.keys();
                functions.cloned().collect::<Vec<_>>()
            };
            let published: BTreeMap<String, Vec<String>> = imports
                .iter()
                .map(|(key, item)| (resolve.name_world_key(key), functions(item)))
                .collect();
            let offer = epoch.offer();
            let offered: BTreeMap<String, Vec<String>> = offer
                .interfaces
                .iter()
                .map(|(name, functions)| {
                    let name = format!("tiny-forge:plugin/{name}@{}", offer.version);
                    (name, functions.iter().map(ToString::to_string).collect())
                })
                .collect();
            assert_eq!(offered, published);
        }
    }
}

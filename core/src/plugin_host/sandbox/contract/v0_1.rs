//! Contract version 0.1, as an adapter onto the newest: the same functions under
//! their old names, and a description whose capabilities were a closed record.

use futures_util::TryFutureExt;
use wasmtime::component::{HasSelf, Linker};

use super::{Offer, exports::exports, json, v1, v1::event};
use crate::{
    model::Asked,
    plugin_host::sandbox::{DeliveryContext, Description, GuestEvent, HostState},
};

use guest::exports::tiny_forge::plugin::{enricher_role, filter_role, plugin, sink_role};
use host::tiny_forge::plugin::{clock, http, log, sign, store, types};

pub const OFFER: Offer = Offer {
    version: "0.1.0",
    interfaces: v1::OFFER.interfaces,
};

pub fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    host::Offer::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)
}

use filter_role::{Guest as FilterExports, GuestIndices as FilterIndices};

exports!();

fn filter<'a>(
    role: &'a FilterExports,
    store: &'a mut Store<HostState>,
    about: &'a GuestEvent,
    _: &mut String,
) -> impl Future<Output = wasmtime::Result<Result<Decision, String>>> + Send + 'a {
    let asked = role.call_filter(store, event(about));
    asked.map_ok(|answer| {
        answer.map(|decision| match decision {
            filter_role::Decision::Keep => Decision::Keep,
            filter_role::Decision::Drop(reason) => Decision::Drop(reason),
        })
    })
}

mod host {
    wasmtime::component::bindgen!({
        path: "../sdk/wit/v0.1",
        inline: "
            package tiny-forge:host;
            world offer { include tiny-forge:plugin/imports@0.1.0; }
        ",
        world: "tiny-forge:host/offer",
        imports: { default: async | trappable },
    });
}

mod guest {
    wasmtime::component::bindgen!({
        path: "../sdk/wit/v0.1",
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
        // Events have not changed.
        with: {
            "tiny-forge:plugin/types@0.1.0": crate::plugin_host::sandbox::contract::v1::types,
        },
    });
}

impl types::Host for HostState {}

impl log::Host for HostState {
    async fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            log::Level::Debug => v1::log::Level::Debug,
            log::Level::Info => v1::log::Level::Info,
            log::Level::Warn => v1::log::Level::Warn,
            log::Level::Error => v1::log::Level::Error,
        };
        v1::log::Host::write(self, level, message).await
    }
}

impl http::Host for HostState {
    async fn send(
        &mut self,
        request: http::Request,
    ) -> wasmtime::Result<Result<http::Response, http::Error>> {
        let answer = v1::http::Host::send(self, request.into()).await?;
        Ok(answer.map(Into::into).map_err(Into::into))
    }
}

impl sign::Host for HostState {
    async fn hmac_sha256(
        &mut self,
        secret: String,
        data: Vec<u8>,
    ) -> wasmtime::Result<Result<Vec<u8>, String>> {
        v1::sign::Host::hmac_sha256(self, secret, data).await
    }
}

impl store::Host for HostState {
    async fn get(&mut self, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        v1::store::Host::get(self, key).await
    }

    async fn set(&mut self, key: String, value: Vec<u8>) -> wasmtime::Result<Result<(), String>> {
        v1::store::Host::set(self, key, value).await
    }

    async fn delete(&mut self, key: String) -> wasmtime::Result<()> {
        v1::store::Host::delete(self, key).await
    }
}

impl clock::Host for HostState {
    async fn now_ms(&mut self) -> wasmtime::Result<u64> {
        v1::clock::Host::now_ms(self).await
    }
}

impl From<http::Request> for v1::http::Request {
    fn from(request: http::Request) -> Self {
        let headers = request.headers.into_iter();
        Self {
            method: request.method,
            url: request.url,
            headers: headers
                .map(|http::Header { name, value }| v1::http::Header { name, value })
                .collect(),
            body: request.body,
            timeout_ms: request.timeout_ms,
        }
    }
}

impl From<v1::http::Response> for http::Response {
    fn from(response: v1::http::Response) -> Self {
        let headers = response.headers.into_iter();
        Self {
            status: response.status,
            headers: headers
                .map(|v1::http::Header { name, value }| http::Header { name, value })
                .collect(),
            body: response.body,
        }
    }
}

impl From<v1::http::Error> for http::Error {
    fn from(error: v1::http::Error) -> Self {
        match error {
            v1::http::Error::Denied(line) => Self::Denied(line),
            v1::http::Error::Invalid(problem) => Self::Invalid(problem),
            v1::http::Error::Timeout => Self::Timeout,
            v1::http::Error::Connection(problem) => Self::Connection(problem),
        }
    }
}

fn description(answer: plugin::Description) -> Result<Description, String> {
    let plugin::Description {
        name,
        version,
        description,
        config_schema,
        capabilities:
            plugin::Capabilities {
                http,
                secrets,
                store,
            },
    } = answer;
    Ok(Description {
        name,
        version,
        description,
        config_schema: json::schema(&config_schema)?,
        asked: Asked {
            http,
            secrets,
            store,
        },
    })
}

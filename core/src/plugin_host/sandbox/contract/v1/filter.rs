//! A filter is called in one of two ways: with `packed-filter`, where it has that.

use futures_util::{TryFutureExt, future::Either};
use wasmtime::{
    Store,
    component::{Instance, InstancePre},
};

use super::{event, filter_role, level, packed_filter};
use crate::plugin_host::sandbox::{Decision, GuestEvent, HostState};

const PACKED: &str = "tiny-forge:plugin/packed-filter@1.1.0";

pub enum FilterIndices {
    Plain(filter_role::GuestIndices),
    Packed(packed_filter::GuestIndices),
}

pub enum FilterExports {
    Plain(filter_role::Guest),
    Packed(packed_filter::Guest),
}

impl FilterIndices {
    pub fn new(of: &InstancePre<HostState>) -> wasmtime::Result<Self> {
        let is_packed = of.component().get_export_index(None, PACKED).is_some();
        Ok(if is_packed {
            Self::Packed(packed_filter::GuestIndices::new(of)?)
        } else {
            Self::Plain(filter_role::GuestIndices::new(of)?)
        })
    }

    pub fn load(
        &self,
        store: &mut Store<HostState>,
        instance: &Instance,
    ) -> wasmtime::Result<FilterExports> {
        Ok(match self {
            Self::Plain(it) => FilterExports::Plain(it.load(store, instance)?),
            Self::Packed(it) => FilterExports::Packed(it.load(store, instance)?),
        })
    }
}

pub fn filter<'a>(
    role: &'a FilterExports,
    store: &'a mut Store<HostState>,
    about: &'a GuestEvent,
    texts: &'a mut String,
) -> impl Future<Output = wasmtime::Result<Result<Decision, String>>> + Send + 'a {
    let asked = match role {
        FilterExports::Plain(role) => Either::Left(role.call_filter(store, event(about))),
        FilterExports::Packed(role) => Either::Right(role.call_filter(store, packed(about, texts))),
    };
    asked.map_ok(|answer| {
        answer.map(|decision| match decision {
            filter_role::Decision::Keep => Decision::Keep,
            filter_role::Decision::Drop(reason) => Decision::Drop(reason),
        })
    })
}

fn packed<'e>(event: &GuestEvent, texts: &'e mut String) -> packed_filter::PackedEvent<'e> {
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
    let all = [kind, time, node, subject, actor, payload, annotations];
    texts.reserve_exact(all.iter().map(|text| text.len()).sum());
    let ends = all.map(|text| {
        texts.push_str(text);
        // An event is limited to far less.
        u32::try_from(texts.len()).unwrap_or(u32::MAX)
    });
    let [a, b, c, d, e, f, _] = ends;
    packed_filter::PackedEvent {
        id: *id,
        severity: level(*severity),
        cause: *cause,
        texts,
        ends: (a, b, c, d, e, f),
    }
}

use crate::bindings::common::tiny_forge::plugin::{
    clock, http as wire, log as wire_log, sign, store,
};
use crate::http::{Error, Request, Response};
use crate::log::Level;

pub(crate) fn log(level: Level, message: &str) {
    let level = match level {
        Level::Debug => wire_log::Level::Debug,
        Level::Info => wire_log::Level::Info,
        Level::Warn => wire_log::Level::Warn,
        Level::Error => wire_log::Level::Error,
    };
    wire_log::write(level, message);
}

pub(crate) fn send(request: Request) -> Result<Response, Error> {
    let request = wire::Request {
        method: request.method,
        url: request.url,
        headers: request
            .headers
            .into_iter()
            .map(|(name, value)| wire::Header { name, value })
            .collect(),
        body: request.body,
        timeout_ms: request
            .timeout
            .map(|timeout| u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX)),
    };
    match wire::send(&request) {
        Ok(response) => Ok(Response {
            status: response.status,
            headers: response
                .headers
                .into_iter()
                .map(|header| (header.name, header.value))
                .collect(),
            body: response.body,
        }),
        Err(wire::Error::Denied(reason)) => Err(Error::Denied(reason)),
        Err(wire::Error::Invalid(reason)) => Err(Error::Invalid(reason)),
        Err(wire::Error::Timeout) => Err(Error::Timeout),
        Err(wire::Error::Connection(reason)) => Err(Error::Connection(reason)),
    }
}

pub(crate) fn hmac_sha256(secret: &str, data: &[u8]) -> Result<Vec<u8>, String> {
    sign::hmac_sha256(secret, data)
}

pub(crate) fn store_get(key: &str) -> Option<Vec<u8>> {
    store::get(key)
}

pub(crate) fn store_set(key: &str, value: &[u8]) -> Result<(), String> {
    store::set(key, value)
}

pub(crate) fn store_delete(key: &str) {
    store::delete(key);
}

pub(crate) fn now_ms() -> u64 {
    clock::now_ms()
}

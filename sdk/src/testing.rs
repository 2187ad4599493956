//! The host in a unit test. Plugin crates compile for your own machine too; there,
//! requests go nowhere: each takes the next answer that the test has set.
//!
//! What is set here holds for one thread, so for one test.
//!
//! ```
//! use tiny_forge_plugin::http::{Request, Response};
//! use tiny_forge_plugin::testing;
//!
//! testing::answer(Response::new(200).with_body("ok"));
//! let response = Request::get("https://a.example/x").send().expect("answered");
//! assert_eq!(response.text(), "ok");
//! assert_eq!(testing::requests()[0].url, "https://a.example/x");
//! ```

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use crate::guest::read_config;
use crate::http::{Error, Request, Response};
use crate::{FieldError, Plugin};

#[derive(Default)]
struct Host {
    answers: VecDeque<Result<Response, Error>>,
    requests: Vec<Request>,
    secrets: BTreeMap<String, Vec<u8>>,
    store: BTreeMap<String, Vec<u8>>,
    now_ms: u64,
}

thread_local! {
    static HOST: RefCell<Host> = RefCell::default();
}

/// A plugin as the host configures it, but for the check against its schema.
///
/// # Errors
/// What is wrong with the configuration, by field.
pub fn configure<P: Plugin>(config: &Value) -> Result<P, Vec<FieldError>> {
    read_config(&config.to_string())
}

/// Sets the answer to the next request that has none yet.
pub fn answer(response: Response) {
    HOST.with_borrow_mut(|host| host.answers.push_back(Ok(response)));
}

/// Lets the next request that has no answer yet fail.
pub fn fail(error: Error) {
    HOST.with_borrow_mut(|host| host.answers.push_back(Err(error)));
}

/// The requests sent since the last call, with `{secret:NAME}` as the plugin wrote
/// it.
pub fn requests() -> Vec<Request> {
    HOST.with_borrow_mut(|host| std::mem::take(&mut host.requests))
}

/// Sets a secret for [`crate::sign`], as the bytes of the key.
pub fn set_secret(name: &str, key: &[u8]) {
    HOST.with_borrow_mut(|host| host.secrets.insert(name.to_owned(), key.to_owned()));
}

/// Sets the [`crate::clock`], which stands at 0 else.
pub fn set_now_ms(now_ms: u64) {
    HOST.with_borrow_mut(|host| host.now_ms = now_ms);
}

pub(crate) mod host {
    use hmac::{Hmac, Mac};
    use sha2::Sha256;

    use super::{Error, HOST, Request, Response};
    use crate::log::Level;

    pub(crate) fn log(level: Level, message: &str) {
        eprintln!("{level:?}: {message}");
    }

    pub(crate) fn send(request: Request) -> Result<Response, Error> {
        HOST.with_borrow_mut(|host| {
            host.requests.push(request);
            host.answers.pop_front().unwrap_or_else(|| {
                let reason = "a unit test has no network: set an answer with `testing::answer`";
                Err(Error::Connection(reason.to_owned()))
            })
        })
    }

    pub(crate) fn hmac_sha256(secret: &str, data: &[u8]) -> Result<Vec<u8>, String> {
        HOST.with_borrow(|host| {
            let key = host
                .secrets
                .get(secret)
                .ok_or_else(|| format!("there is no secret `{secret}`"))?;
            let mut mac = Hmac::<Sha256>::new_from_slice(key).map_err(|error| error.to_string())?;
            mac.update(data);
            Ok(mac.finalize().into_bytes().to_vec())
        })
    }

    pub(crate) fn store_get(key: &str) -> Option<Vec<u8>> {
        HOST.with_borrow(|host| host.store.get(key).cloned())
    }

    pub(crate) fn store_set(key: &str, value: &[u8]) -> Result<(), String> {
        HOST.with_borrow_mut(|host| host.store.insert(key.to_owned(), value.to_owned()));
        Ok(())
    }

    pub(crate) fn store_delete(key: &str) {
        HOST.with_borrow_mut(|host| host.store.remove(key));
    }

    pub(crate) fn now_ms() -> u64 {
        HOST.with_borrow(|host| host.now_ms)
    }
}

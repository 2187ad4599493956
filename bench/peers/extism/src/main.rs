//! `tiny-forge-bench-extism LIBRARY GUEST CALLS`: the CPU time of a call of a warm
//! Extism plugin, with its limits of memory and time on, as `core/examples/guests.rs`
//! prints it. The library is Extism's own build, with its C interface.

use std::{
    env,
    ffi::{CStr, c_char},
    fs, ptr,
};

use anyhow::{Context, bail};
use cpu_time::ThreadTime;
use libloading::{Library, Symbol};
use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};

const WARM_UP: u32 = 1_000;

type New = unsafe extern "C" fn(
    wasm: *const u8,
    length: u64,
    functions: *const *const u8,
    functions_count: u64,
    with_wasi: bool,
    error: *mut *mut c_char,
) -> *mut u8;
type Call = unsafe extern "C" fn(*mut u8, *const c_char, *const u8, u64) -> i32;
type OutputLength = unsafe extern "C" fn(*mut u8) -> u64;
type OutputData = unsafe extern "C" fn(*mut u8) -> *const u8;

/// What a host has in hand, and a plugin needs.
#[derive(Serialize)]
struct Event {
    id: u64,
    r#type: String,
    time: String,
    node: String,
    subject: String,
    severity: String,
    actor: String,
    cause: Option<u64>,
    payload: Box<RawValue>,
    annotations: Box<RawValue>,
}

#[derive(Deserialize)]
struct Decision {
    keep: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [library, guest, calls] = arguments.as_slice() else {
        bail!("usage: tiny-forge-bench-extism LIBRARY GUEST CALLS");
    };
    let calls: u32 = calls.parse().context("a number of calls")?;
    // SAFETY: it is the library that its argument names; loading it runs no code
    // but its own, and the types above are those of its header.
    let extism = unsafe { Library::new(library) }.context("Extism's library")?;
    let plugin = Plugin::new(&extism, guest)?;
    let event = event()?;
    for _ in 0..WARM_UP {
        plugin.filter(&event)?;
    }
    let began = ThreadTime::now();
    for _ in 0..calls {
        plugin.filter(&event)?;
    }
    println!(
        "call_us {}",
        began.elapsed().as_secs_f64() * 1e6 / f64::from(calls)
    );
    Ok(())
}

struct Plugin<'l> {
    plugin: *mut u8,
    call: Symbol<'l, Call>,
    output_length: Symbol<'l, OutputLength>,
    output_data: Symbol<'l, OutputData>,
}

impl<'l> Plugin<'l> {
    fn new(extism: &'l Library, guest: &str) -> anyhow::Result<Self> {
        let manifest = json!({
            "wasm": [{ "path": fs::canonicalize(guest)? }],
            "memory": { "max_pages": 1024 },
            "timeout_ms": 10_000,
            "config": { "from": "22:00", "to": "06:00" },
        })
        .to_string();
        let mut error = ptr::null_mut();
        // SAFETY: the types of Extism's header, and pointers that live as long as
        // the calls; an error is text that ends in zero.
        unsafe {
            let new: Symbol<New> = extism.get(b"extism_plugin_new")?;
            let plugin = new(
                manifest.as_ptr(),
                manifest.len() as u64,
                ptr::null(),
                0,
                false,
                &raw mut error,
            );
            if plugin.is_null() {
                bail!("{}", CStr::from_ptr(error).to_string_lossy());
            }
            Ok(Self {
                plugin,
                call: extism.get(b"extism_plugin_call")?,
                output_length: extism.get(b"extism_plugin_output_length")?,
                output_data: extism.get(b"extism_plugin_output_data")?,
            })
        }
    }

    fn filter(&self, event: &Event) -> anyhow::Result<()> {
        let input = serde_json::to_string(event)?;
        let name: &CStr = c"filter";
        // SAFETY: as above; what was put out is valid until the next call.
        let output = unsafe {
            let length = input.len() as u64;
            let code = (self.call)(self.plugin, name.as_ptr(), input.as_ptr(), length);
            if code != 0 {
                bail!("the plugin failed");
            }
            let length = (self.output_length)(self.plugin) as usize;
            std::slice::from_raw_parts((self.output_data)(self.plugin), length)
        };
        let decision: Decision = serde_json::from_slice(output)?;
        if !decision.keep {
            bail!("an event in daylight is dropped");
        }
        Ok(())
    }
}

/// That of `core/examples/guests.rs`.
fn event() -> anyhow::Result<Event> {
    let payload = r#"{"project":"shop","stage":"prod","deploy_id":17,"status":"running","previous":"queued","generation":12,"image":"registry.example/shop:1.4.2","digest":"sha256:3f2a91c0d4e1"}"#;
    Ok(Event {
        id: 4_711,
        r#type: "deploy_status".into(),
        time: "2026-03-27T12:30:25.123Z".into(),
        node: "n-3f2a91c0d4e1".into(),
        subject: "shop/prod/deploys/17".into(),
        severity: "info".into(),
        actor: "user:alex".into(),
        cause: Some(4_709),
        payload: RawValue::from_string(payload.into())?,
        annotations: RawValue::from_string("{}".into())?,
    })
}

use std::sync::Arc;

use wasmtime::{
    Config, Engine, Strategy,
    component::{Component, Linker},
};

use super::{
    HostState, LoadError, Module, contract,
    ticker::{Ticker, Ticking},
};
use crate::plugin_host::compile::Compiled;

const WASM_STACK_BYTES_MAX: usize = 512 << 10;
/// The guest's stack and what host functions need on top of it.
const FIBER_STACK_BYTES: usize = 2 << 20;

#[derive(Debug, thiserror::Error)]
#[error("the sandbox for plugins cannot be set up: {0}")]
pub struct SandboxError(String);

/// What all guests share. Cheap to clone.
#[derive(Clone)]
pub struct Sandbox(Arc<Shared>);

struct Shared {
    engine: Engine,
    linker: Linker<HostState>,
    ticker: Ticker,
}

impl Sandbox {
    pub fn new() -> Result<Self, SandboxError> {
        let failed = |error: wasmtime::Error| SandboxError(format!("{error:#}"));
        let engine = engine().map_err(failed)?;
        let mut linker = Linker::new(&engine);
        contract::add_to_linker(&mut linker).map_err(failed)?;
        let ticker =
            Ticker::start(engine.clone()).map_err(|error| SandboxError(error.to_string()))?;
        Ok(Self(Arc::new(Shared {
            engine,
            linker,
            ticker,
        })))
    }

    /// Takes milliseconds for a large component.
    pub fn load(&self, compiled: &Compiled) -> Result<Module, LoadError> {
        // SAFETY: only our own compiler makes a `Compiled`: from what its child
        // process answered, or from a cached file whose MAC it has just verified
        // over these very bytes.
        #[allow(unsafe_code)]
        let component = unsafe { Component::deserialize(self.engine(), compiled.code()) }
            .map_err(|error| LoadError::Broken(format!("{error:#}")))?;
        Module::new(&self.0.linker, &component, compiled.digest())
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    pub(super) fn ticking(&self) -> Ticking<'_> {
        self.0.ticker.ticking()
    }
}

/// An engine with the settings of the sandbox: the compiler's child makes its
/// machine code with the same.
pub(in crate::plugin_host) fn engine() -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK_BYTES_MAX)
        .async_stack_size(FIBER_STACK_BYTES)
        // WIT's own `async` is not in the contract, and left on it makes a call
        // three times as slow.
        .concurrency_support(false)
        .wasm_memory64(false);
    Engine::new(&config)
}

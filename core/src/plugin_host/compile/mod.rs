//! From a `.wasm` to machine code: in a child process that can be killed, and
//! through a cache that nobody else can write to.

mod cache;
mod child;
mod weight;

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::sync::Semaphore;

use self::cache::{Cache, Cached};
pub use self::child::compile_in_this_process;
use crate::{plugin_host::metrics::FaultKind, store::Keyring};

/// JavaScript and Python bring their interpreters: 12 to 18 MB, and up to 30 s.
pub const WASM_BYTES_MAX: u64 = 64 << 20;
const TIMEOUT: Duration = Duration::from_secs(120);

/// Machine code of a component, made by this server's own compiler and by
/// nobody else: running it relies on that. Cheap to clone.
#[derive(Clone)]
pub struct Compiled {
    digest: Arc<str>,
    code: Bytes,
    cache_was_tampered_with: bool,
}

impl Compiled {
    /// SHA-256 of the `.wasm`, hex.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    pub(super) fn code(&self) -> &[u8] {
        &self.code
    }

    /// What the cache had under its name was not what this server wrote.
    pub fn cache_was_tampered_with(&self) -> bool {
        self.cache_was_tampered_with
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    #[error(
        "it is not WebAssembly: a plugin is one `.wasm` file, made by `tiny-forge plugin build`"
    )]
    NotWasm,
    #[error(
        "it is a core module, not a component: build it with `tiny-forge plugin build`, or make \
         it one with `wasm-tools component new`"
    )]
    NotAComponent,
    #[error("it has {bytes} bytes, a plugin has at most {limit_bytes}")]
    TooLarge { bytes: u64, limit_bytes: u64 },
    #[error("it is damaged: {0}")]
    Invalid(String),
    #[error("it takes too much of the server's memory: {0}")]
    TooHeavy(String),
    #[error(
        "it took longer than {} ms to compile: make it smaller, or split its largest function",
        limit.as_millis()
    )]
    TooSlow { limit: Duration },
    #[error(
        "the compiler gave up on it, as it does at {} MiB of memory: {reason}",
        child::MEMORY_BYTES_MAX >> 20
    )]
    Crashed { reason: String },
    #[error(
        "the compiler ended with exit code {code} before it was done with it: {last_words}. That \
         says nothing about the file: put it there again, or report this"
    )]
    Ended { code: i32, last_words: String },
    #[error("the compiler cannot be run: {0}")]
    Unavailable(String),
}

impl CompileError {
    pub(super) const fn kind(&self) -> FaultKind {
        match self {
            Self::NotWasm | Self::NotAComponent | Self::Invalid(_) => FaultKind::Invalid,
            Self::TooLarge { .. } | Self::TooHeavy(_) => FaultKind::TooLarge,
            Self::TooSlow { .. } | Self::Crashed { .. } | Self::Ended { .. } => FaultKind::Compile,
            Self::Unavailable(_) => FaultKind::Host,
        }
    }
}

/// Compiles in a child process of ourselves, one at a time.
pub struct Compiler {
    program: PathBuf,
    cache: Cache,
    timeout: Duration,
    turn: Semaphore,
}

impl Compiler {
    /// `program` is our own binary; `cache` a folder that is ours alone.
    pub fn new(program: PathBuf, cache: PathBuf, keyring: Arc<Keyring>) -> Self {
        Self {
            program,
            cache: Cache::new(cache, keyring),
            timeout: TIMEOUT,
            turn: Semaphore::new(1),
        }
    }

    /// Instead of 120 s.
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// `digest` is the SHA-256 of `wasm`, hex.
    pub async fn compile(&self, wasm: &[u8], digest: &str) -> Result<Compiled, CompileError> {
        check_kind(wasm)?;
        let compiled = |code: Bytes, cache_was_tampered_with| Compiled {
            digest: digest.into(),
            code,
            cache_was_tampered_with,
        };
        if let Cached::Ours(code) = self.cache.read(digest).await {
            return Ok(compiled(code, false));
        }
        let turn = self.turn.acquire().await;
        let _turn = turn.map_err(|error| CompileError::Unavailable(error.to_string()))?;
        // Whoever had the turn before may have compiled the same.
        let was_tampered_with = match self.cache.read(digest).await {
            Cached::Ours(code) => return Ok(compiled(code, false)),
            Cached::Foreign => true,
            Cached::Nothing => false,
        };
        let code = child::compile(&self.program, wasm, self.timeout).await?;
        let code = self.cache.write(digest, code.into()).await;
        Ok(compiled(code, was_tampered_with))
    }

    /// Its code does not load, whoever made it: next time it is compiled anew.
    pub async fn forget(&self, digest: &str) {
        self.cache.remove(digest).await;
    }
}

/// Tells a component from a core module by the eight bytes that both begin with.
fn check_kind(wasm: &[u8]) -> Result<(), CompileError> {
    let bytes = wasm.len() as u64;
    if bytes > WASM_BYTES_MAX {
        return Err(CompileError::TooLarge {
            bytes,
            limit_bytes: WASM_BYTES_MAX,
        });
    }
    match wasm {
        [0, b'a', b's', b'm', _, _, 1, 0, ..] => Ok(()),
        [0, b'a', b's', b'm', _, _, 0, 0, ..] => Err(CompileError::NotAComponent),
        _ => Err(CompileError::NotWasm),
    }
}

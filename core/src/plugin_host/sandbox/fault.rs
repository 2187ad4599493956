use std::time::Duration;

use wasmtime::{FrameInfo, Trap, WasmBacktrace};

use super::{
    HostState,
    limits::{HANDLES_MAX, INSTANCES_MAX, MEMORIES_MAX, Refused, TABLE_ELEMENTS_MAX, TABLES_MAX},
};
use crate::plugin_host::metrics::FaultKind;

/// Frames of a backtrace that are worth showing.
const FRAMES_MAX: usize = 16;

/// How functions of Rust begin through which a panic goes to its end.
const PANIC: [&str; 4] = [
    "__rustc::",
    "core::panicking::",
    "std::panicking::",
    "std::sys::backtrace::",
];

/// How wasmtime says that a value was over `Store::set_hostcall_fuel`, or handles over
/// `Store::set_max_component_handles`, or that a component has more parts than
/// `ResourceLimiter` says; the errors themselves have no public type.
const OUTPUT_EXHAUSTED: &str = "fuel allocated for hostcalls has been exhausted";
const HANDLES_EXHAUSTED: &str = "store handle limit exceeded";
const PARTS_EXHAUSTED: &str = "resource limit exceeded: ";

/// Why a call gave no answer. But for [`Fault::Refused`], which the guest says
/// itself and survives, the instance is dead and has to be made anew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("it trapped ({message}){}{}", after_colon(said.as_deref()), indented(backtrace))]
    Trap {
        message: String,
        /// The last error that it wrote to its log in this call, if that was shown: a panic
        /// writes one.
        said: Option<String>,
        /// Innermost frame first, without those of a panic itself.
        backtrace: Vec<String>,
    },
    #[error(
        "it asked for more than {} of memory: let it use less, or raise `limits.memory_mib`",
        size(*limit)
    )]
    OverMemory { limit: usize },
    #[error(
        "it asked for tables of more than {limit} elements together: let it have fewer functions \
         that are called through pointers, or split it"
    )]
    OverTables { limit: usize },
    #[error(
        "it is made of more than {limit} {what}: build it from fewer core modules, or make more \
         than one plugin of it"
    )]
    OverParts { limit: usize, what: &'static str },
    #[error(
        "it computed for more than {} ms: let it do less at once, or raise `limits.cpu_ms`",
        limit.as_millis()
    )]
    OverCpu { limit: Duration },
    #[error(
        "it computed for more than {} ms while it was started: let `describe` and `configure` \
         do less, or raise `limits.start_ms`",
        limit.as_millis()
    )]
    OverStartCpu { limit: Duration },
    #[error(
        "it took longer than {} ms, waiting included: let it wait less, or raise \
         `limits.wall_ms`",
        limit.as_millis()
    )]
    OverWall { limit: Duration },
    #[error(
        "it called the host more than {limit} times in one call: let it call less, or raise \
         `limits.host_calls`"
    )]
    HostCalls { limit: u32 },
    #[error("it held more than {limit} resource handles: let it drop what it does not need")]
    Handles { limit: usize },
    #[error(
        "it handed over more than {} at once: let it send less, or raise `limits.output_kib`",
        size(*limit)
    )]
    Output { limit: usize },
    /// The guest's own error.
    #[error("it failed: {0}")]
    Refused(String),
    /// What it answered breaks the contract.
    #[error("its answer cannot be used: {0}")]
    BadAnswer(String),
    #[error(
        "it does not fit plugin contract {contract}, which it names: {reason}. Build it from \
         that contract as it was published in sdk/wit"
    )]
    Misfit { contract: String, reason: String },
    /// The host could not do its part.
    #[error("the host could not do its part: {0}")]
    Host(String),
    #[error("it is no longer alive: an earlier call failed or was given up")]
    Dead,
}

impl Fault {
    pub const fn kind(&self) -> FaultKind {
        match self {
            Self::Trap { .. } => FaultKind::Trap,
            Self::OverMemory { .. } | Self::OverTables { .. } | Self::OverParts { .. } => {
                FaultKind::OverMemory
            }
            Self::OverCpu { .. } | Self::OverStartCpu { .. } => FaultKind::OverCpu,
            Self::OverWall { .. } => FaultKind::OverWall,
            Self::HostCalls { .. } => FaultKind::HostCalls,
            Self::Handles { .. } => FaultKind::Handles,
            Self::Output { .. } => FaultKind::Output,
            Self::Refused(_) => FaultKind::Refused,
            Self::BadAnswer(_) => FaultKind::BadAnswer,
            Self::Misfit { .. } => FaultKind::Misfit,
            Self::Host(_) => FaultKind::Host,
            Self::Dead => FaultKind::Dead,
        }
    }

    /// What an error of wasmtime means for the plugin's author. `over_cpu` is
    /// what to say when it computed for too long.
    pub(super) fn of(error: &wasmtime::Error, state: &HostState, over_cpu: Self) -> Self {
        let limits = &state.setup.limits;
        if let Some(own) = error.downcast_ref::<Self>() {
            return own.clone();
        }
        let trap = error.downcast_ref::<Trap>();
        if trap == Some(&Trap::Interrupt) {
            return over_cpu;
        }
        match state.memory.refused() {
            Some(Refused::Memory) => {
                return Self::OverMemory {
                    limit: limits.memory_bytes,
                };
            }
            Some(Refused::TableElements) => {
                return Self::OverTables {
                    limit: TABLE_ELEMENTS_MAX,
                };
            }
            None => {}
        }
        let message = error.root_cause().to_string();
        if trap.is_some() {
            return Self::Trap {
                message: message.trim_start_matches("wasm trap: ").to_owned(),
                // Another trap comes unforeseen: whatever was said before is not why.
                said: (trap == Some(&Trap::UnreachableCodeReached))
                    .then(|| state.error_said.clone())
                    .flatten(),
                backtrace: frames(error),
            };
        }
        if message.contains(OUTPUT_EXHAUSTED) {
            return Self::Output {
                limit: limits.output_bytes,
            };
        }
        if message.contains(HANDLES_EXHAUSTED) {
            return Self::Handles { limit: HANDLES_MAX };
        }
        Self::over_parts(&message).unwrap_or(Self::BadAnswer(message))
    }

    fn over_parts(message: &str) -> Option<Self> {
        let (_, told) = message.split_once(PARTS_EXHAUSTED)?;
        let (limit, what) = match told.split(' ').next()? {
            "instance" => (INSTANCES_MAX, "core instances"),
            "table" => (TABLES_MAX, "tables"),
            "memory" => (MEMORIES_MAX, "memories"),
            _ => return None,
        };
        Some(Self::OverParts { limit, what })
    }
}

fn frames(error: &wasmtime::Error) -> Vec<String> {
    let frames = error
        .downcast_ref::<WasmBacktrace>()
        .map_or(&[][..], WasmBacktrace::frames);
    let frames = frames.iter().map(frame);
    let outside = frames.skip_while(|name| PANIC.iter().any(|start| name.starts_with(start)));
    outside.take(FRAMES_MAX).collect()
}

fn frame(frame: &FrameInfo) -> String {
    match frame.func_name() {
        // Without the hash that makes a symbol unique.
        Some(name) => format!("{:#}", rustc_demangle::demangle(name)),
        None => format!(
            "function {}, whose name the file does not keep",
            frame.func_index()
        ),
    }
}

fn size(bytes: usize) -> String {
    const KIB: usize = 1 << 10;
    const MIB: usize = 1 << 20;
    match bytes {
        bytes if bytes.is_multiple_of(MIB) => format!("{} MiB", bytes / MIB),
        bytes if bytes.is_multiple_of(KIB) => format!("{} KiB", bytes / KIB),
        bytes => format!("{bytes} bytes"),
    }
}

fn after_colon(said: Option<&str>) -> String {
    said.map_or_else(String::new, |said| format!(": {}", said.replace('\n', " ")))
}

fn indented(frames: &[String]) -> String {
    let lines = frames.iter().map(|frame| format!("\n  at {frame}"));
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::Fault;

    #[test]
    fn too_many_parts_are_told_by_what_they_are() {
        let told = |what: &str| {
            let message = format!("resource limit exceeded: {what} count too high at 65");
            Fault::over_parts(&message).map(|fault| fault.to_string())
        };
        for (what, begins) in [
            ("instance", "it is made of more than 64 core instances: "),
            ("table", "it is made of more than 64 tables: "),
            ("memory", "it is made of more than 8 memories: "),
        ] {
            let told = told(what).expect("a fault");
            assert!(told.starts_with(begins), "{told}");
        }
        assert_eq!(told("something"), None);
    }
}

use std::{
    io::{self, Read, Write},
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Resource, Rlimit};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
};

use super::{CompileError, WASM_BYTES_MAX, weight};
use crate::plugin_host::sandbox;

/// A hostile function of 1 MB makes Cranelift use 240 MB; an honest interpreter
/// more than that.
pub(super) const MEMORY_BYTES_MAX: u64 = 2 << 30;
/// Of all threads together: what is left of a server that was killed ends too.
const CPU_SECONDS_MAX: u64 = 300;
const CODE_BYTES_MAX: u64 = 512 << 20;
const COMPLAINT_BYTES_MAX: u64 = 16 << 10;
/// How the child says what is wrong with the file. Whatever else it says is about itself.
const TOO_HEAVY: &str = "too heavy: ";
const INVALID: &str = "invalid: ";
/// Everything else comes first. A tenth of the processor is left for it where
/// everything else never ends: at 19 it is a seventieth, and seconds take minutes.
const NICENESS: i32 = 10;

/// Runs `program plugin compile`; the child does not outlive this future.
pub(super) async fn compile(
    program: &Path,
    wasm: &[u8],
    limit: Duration,
) -> Result<Vec<u8>, CompileError> {
    let child = Command::new(program)
        .args(["plugin", "compile"])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| unavailable(program, &error))?;
    let talked = tokio::time::timeout(limit, talk(child, wasm)).await;
    let Ok(talked) = talked else {
        return Err(CompileError::TooSlow { limit });
    };
    let (status, code, complaint) = talked.map_err(|error| unavailable(program, &error))?;
    if status.success() {
        return Ok(code);
    }
    Err(refusal(status, &complaint))
}

fn unavailable(program: &Path, error: &io::Error) -> CompileError {
    CompileError::Unavailable(format!("`{}`: {error}", program.display()))
}

/// All three streams at once: a child that waits for one to be read while it is
/// written to would wait for ever.
async fn talk(mut child: Child, wasm: &[u8]) -> io::Result<(ExitStatus, Vec<u8>, Vec<u8>)> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let write = async {
        if let Some(mut stdin) = stdin {
            // A child that has seen enough closes its end; its answer says why.
            let _ = stdin.write_all(wasm).await;
        }
    };
    let ((), code, complaint) = tokio::join!(
        write,
        read(stdout, CODE_BYTES_MAX),
        read(stderr, COMPLAINT_BYTES_MAX)
    );
    Ok((child.wait().await?, code?, complaint?))
}

async fn read(stream: Option<impl AsyncRead + Unpin>, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        stream.take(limit).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

fn refusal(status: ExitStatus, complaint: &[u8]) -> CompileError {
    let complaint = String::from_utf8_lossy(complaint);
    let complaint = complaint.trim().trim_start_matches("error: ").to_owned();
    if let Some(signal) = status.signal() {
        return CompileError::Crashed {
            reason: format!("signal {signal} {complaint}").trim_end().to_owned(),
        };
    }
    if let Some(why) = complaint.strip_prefix(TOO_HEAVY) {
        return CompileError::TooHeavy(why.to_owned());
    }
    if let Some(why) = complaint.strip_prefix(INVALID) {
        return CompileError::Invalid(why.to_owned());
    }
    CompileError::Ended {
        code: status.code().unwrap_or_default(),
        last_words: complaint.lines().last().unwrap_or("no word").to_owned(),
    }
}

/// The child's part: a component on standard input becomes machine code on
/// standard output. Blocks, and limits this process for good.
pub fn compile_in_this_process() -> io::Result<()> {
    limit_this_process()?;
    let mut wasm = Vec::new();
    io::stdin()
        .lock()
        .take(WASM_BYTES_MAX)
        .read_to_end(&mut wasm)?;
    weight::check(&wasm).map_err(|why| io::Error::other(format!("{TOO_HEAVY}{why}")))?;
    let told = |error: wasmtime::Error| io::Error::other(format!("{error:#}"));
    let engine = sandbox::engine().map_err(told)?;
    let code = engine
        .precompile_component(&wasm)
        .map_err(|error| io::Error::other(format!("{INVALID}{error:#}")))?;
    let mut stdout = io::stdout().lock();
    stdout.write_all(&code)?;
    stdout.flush()?;
    Ok(())
}

fn limit_this_process() -> io::Result<()> {
    // From where it was started, which has a priority of its own.
    rustix::process::setpriority_process(None, NICENESS)?;
    limit(Resource::As, MEMORY_BYTES_MAX)?;
    limit(Resource::Data, MEMORY_BYTES_MAX)?;
    limit(Resource::Cpu, CPU_SECONDS_MAX)?;
    limit(Resource::Core, 0)
}

/// Less, where whoever started this process wants it so.
fn limit(resource: Resource, most: u64) -> io::Result<()> {
    let given = rustix::process::getrlimit(resource).maximum;
    let most = Some(given.map_or(most, |given| given.min(most)));
    let limit = Rlimit {
        current: most,
        maximum: most,
    };
    Ok(rustix::process::setrlimit(resource, limit)?)
}

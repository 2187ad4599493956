use super::Outcome;
use crate::plugin_host::compile::compile_in_this_process;

/// The server starts this in a child process; nobody else needs it.
pub(super) async fn run() -> anyhow::Result<Outcome> {
    tokio::task::spawn_blocking(compile_in_this_process).await??;
    Ok(Outcome::Done)
}

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::Value;
use tokio::{io::AsyncWriteExt, process::Command};

use super::sse::PATIENCE;

/// Runs one of our scripts with the packages that `.ci/setup.sh test` has
/// installed: JSON goes in, JSON comes out.
pub async fn run(script: &str, input: &Value) -> Value {
    let python = interpreter();
    assert!(
        python.is_file(),
        "{} is missing: `make test` installs it, or `.ci/setup.sh test`",
        python.display()
    );
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(script);
    let mut child = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("Python starts");
    let mut pipe = child.stdin.take().expect("a pipe");
    let input = input.to_string();
    let output = async {
        // One that fails early does not read it all: its error says more.
        pipe.write_all(input.as_bytes()).await.ok();
        drop(pipe);
        child.wait_with_output().await
    };
    let output = tokio::time::timeout(PATIENCE, output).await;
    let output = output.expect("it ends in time").expect("its output");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Where `.ci/setup.sh` puts it.
#[allow(
    clippy::disallowed_methods,
    reason = "the cache is found by the rule of the Makefile"
)]
fn interpreter() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
        .or_else(|| Some(std::env::home_dir()?.join(".cache")));
    cache
        .expect("a home directory")
        .join("tiny-forge/python/bin/python")
}

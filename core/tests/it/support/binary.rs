use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use tokio::{
    io::AsyncWriteExt,
    process::{Child, Command},
};

use super::{server::Server, sse::PATIENCE};

/// The built program, with an environment of its own.
pub struct Binary {
    environment: Vec<(String, String)>,
    log: Option<PathBuf>,
}

impl Binary {
    pub fn new() -> Self {
        Self {
            environment: Vec::new(),
            log: None,
        }
    }

    /// As a client of this server.
    pub fn against(server: &Server) -> Self {
        Self::new().with("TINY_FORGE_SERVER", &server.url(""))
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What it says on standard error goes into this file.
    pub fn logging_to(self, log: &Path) -> Self {
        let log = Some(log.to_owned());
        Self { log, ..self }
    }

    /// Runs it to its end, with this on its standard input.
    pub async fn run_with(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.command(arguments, Stdio::piped());
        let mut child = command.stdin(Stdio::piped()).spawn().expect("the program");
        let mut stdin = child.stdin.take().expect("a pipe");
        // It may have ended without reading.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
        output.expect("it ends in time").expect("the program")
    }

    /// Runs it to its end.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments, Stdio::piped()).output();
        let output = tokio::time::timeout(PATIENCE, output).await;
        output.expect("it ends in time").expect("the program")
    }

    /// Starts it, with its standard output in a pipe; killed when dropped.
    pub fn spawn(&self, arguments: &[&str]) -> Child {
        let stderr = match &self.log {
            Some(log) => File::create(log).expect("a file").into(),
            None => Stdio::inherit(),
        };
        self.command(arguments, stderr)
            .spawn()
            .expect("the program")
    }

    fn command(&self, arguments: &[&str], stderr: Stdio) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tiny-forge"));
        command
            .args(arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .kill_on_drop(true);
        command
    }
}

use std::process::{Output, Stdio};

use tokio::process::{Child, Command};

use super::{server::Server, sse::PATIENCE};

/// The built program, with an environment of its own.
pub struct Binary {
    environment: Vec<(String, String)>,
}

impl Binary {
    pub fn new() -> Self {
        Self {
            environment: Vec::new(),
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

    /// Runs it to its end.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments, Stdio::piped()).output();
        let output = tokio::time::timeout(PATIENCE, output).await;
        output.expect("it ends in time").expect("the program")
    }

    /// Starts it, with its standard output in a pipe; killed when dropped.
    pub fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments, Stdio::inherit())
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

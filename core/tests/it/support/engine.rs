use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A Docker engine of this test's own: real, private, and gone with the test,
/// even when the test is killed (the script waits on our end of a pipe).
pub struct Engine {
    /// Deleted by the script, not by us.
    dir: PathBuf,
    holder: Child,
}

impl Engine {
    pub fn start() -> Self {
        Self::configured(None)
    }

    /// Containers run on while it is stopped.
    pub fn with_live_restore() -> Self {
        Self::configured(Some(
            r#"{"iptables": false, "ip-masq": false, "live-restore": true}"#,
        ))
    }

    fn configured(config: Option<&str>) -> Self {
        let dir = TempDir::with_prefix("tiny-forge-engine-")
            .expect("temporary directory")
            .keep();
        if let Some(config) = config {
            fs::write(dir.join("daemon.json"), config).expect("written");
        }
        let mut holder = script("hold", &dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the script that starts engines");
        let mut said = String::new();
        let stdout = holder.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut said).expect("a line");
        assert!(
            said.starts_with("unix://"),
            "the engine did not start, see above"
        );
        Self { dir, holder }
    }

    /// What to use as `DOCKER_HOST`.
    pub fn address(&self) -> String {
        format!("unix://{}", self.dir.join("docker.sock").display())
    }

    /// Ends the daemon as a host does that shuts down; its data stays.
    pub fn stop(&self) {
        assert!(
            script("stop", &self.dir)
                .status()
                .expect("the script")
                .success()
        );
    }

    /// Ends the daemon and all containers at once, as a host does that loses its power.
    pub fn kill(&self) {
        let ids = self.docker(&["ps", "--quiet"]);
        let format = "{{.State.Pid}}";
        let containers: Vec<String> = ids
            .lines()
            .map(|id| self.docker(&["inspect", "--format", format, id]))
            .collect();
        let daemon = fs::read_to_string(self.dir.join("dockerd.pid")).expect("it runs");
        kill(&daemon);
        for container in containers {
            kill(&container);
        }
    }

    /// Starts it again on the same data.
    pub fn start_again(&self) {
        assert!(
            script("start", &self.dir)
                .stdout(Stdio::null())
                .status()
                .expect("the script")
                .success()
        );
    }

    /// Runs the `docker` command on this engine; its standard output.
    pub fn docker(&self, arguments: &[&str]) -> String {
        let output = self.try_docker(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "docker {arguments:?}: {said}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    pub fn try_docker(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = Command::new("docker");
        command.arg("--host").arg(self.address()).args(arguments);
        command.output().expect("the docker command")
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let ended = self.holder.wait();
        if !ended.is_ok_and(|status| status.success()) {
            eprintln!("a test engine in {} did not end well", self.dir.display());
        }
    }
}

fn kill(pid: &str) {
    let pid = pid.trim().parse().ok().and_then(Pid::from_raw);
    kill_process(pid.expect("a process"), Signal::KILL).expect("it is ours");
}

fn script(verb: &str, dir: &std::path::Path) -> Command {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../.ci/engine.sh");
    let mut command = Command::new(script);
    command.arg(verb).arg(dir);
    command
}

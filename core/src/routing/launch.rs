//! Starts the data plane so that nothing that happens to the server happens to it.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use sha2::{Digest, Sha256};
use tiny_forge_proxy::Client;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

use super::RoutingError;

const UNIT: &str = "tiny-forge-proxy";
const TAKE_OVER: &str = "--take-over";
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// By systemd, one that has ended.
const AGAIN_WITHIN: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Of the data plane, in that of the server.
pub const FOLDER: &str = "proxy";

/// How to start it.
#[derive(Debug, Clone)]
pub struct Launch {
    pub program: PathBuf,
    /// The server's; the data plane has a folder of its own in it.
    pub data: PathBuf,
    /// systemd ends all that a service of it has started, unless that is a unit itself.
    pub under_systemd: bool,
}

impl Launch {
    pub fn folder(&self) -> PathBuf {
        self.data.join(FOLDER)
    }

    /// Returns once it answers.
    pub async fn start(&self, client: &Client) -> Result<(), RoutingError> {
        self.launch(client, None).await
    }

    /// Puts one of this program's version in the place of the one that runs. Nobody is
    /// refused meanwhile. Returns once the new one answers.
    pub async fn replace(&self, client: &Client) -> Result<(), RoutingError> {
        let old = client.hello().await?.pid;
        self.launch(client, Some(old)).await
    }

    async fn launch(&self, client: &Client, old: Option<u32>) -> Result<(), RoutingError> {
        let log = self.folder().join("log");
        let failed = |error: io::Error| RoutingError::NotStarted(error.to_string());
        let stderr = open(&log).map_err(failed)?;
        if self.under_systemd {
            let unit = timeout(ANSWERS_WITHIN, self.unit(old).status()).await;
            let is_begun = unit.is_ok_and(|it| it.is_ok_and(|status| status.success()));
            // One that has crashed is started again by systemd itself.
            let patience = if is_begun {
                ANSWERS_WITHIN
            } else {
                AGAIN_WITHIN
            };
            let answer = timeout(patience, answers(client, old, None)).await;
            if answer.is_ok_and(|answer| answer.is_ok()) {
                return Ok(());
            }
            tracing::warn!("systemd starts no unit for the proxy: it ends with this service");
        }
        let mut own = Command::new(&self.program);
        own.args(["proxy", "run", "--detached"])
            .args(old.map(|_| TAKE_OVER))
            .arg("--data")
            .arg(&self.data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr);
        let child = own.spawn().map_err(failed)?;
        answers(client, old, Some(child)).await.map_err(|why| {
            let log = log.display();
            RoutingError::NotStarted(format!("{why}, see {log}"))
        })
    }

    /// A unit that is not written anywhere: after a reboot the server makes it again. While
    /// one takes over from another there are two.
    fn unit(&self, old: Option<u32>) -> Command {
        let mut command = Command::new("systemd-run");
        if !rustix::process::geteuid().is_root() {
            command.arg("--user");
        }
        let digest = Sha256::digest(self.data.as_os_str().as_encoded_bytes());
        let (data, starter) = (hex::encode(&digest[..4]), std::process::id());
        command
            .arg(format!("--unit={UNIT}-{data}-{starter}"))
            .args(["--quiet", "--collect"])
            .arg("--description=Ports held by tiny-forge")
            // One that has handed over ends without a failure.
            .args([
                "--property=Restart=on-failure",
                "--property=RestartSec=200ms",
            ])
            .args(["--property=LimitNOFILE=65536", "--"])
            .arg(&self.program)
            .args(["proxy", "run"])
            .args(old.map(|_| TAKE_OVER))
            .arg("--data")
            .arg(&self.data)
            .stdin(Stdio::null());
        command
    }
}

/// Whether a process is in a unit of ours.
pub fn is_unit(pid: u32) -> bool {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup"));
    groups.is_ok_and(|text| text.contains(UNIT))
}

fn open(log: &Path) -> io::Result<File> {
    if let Some(folder) = log.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    File::options().create(true).append(true).open(log)
}

/// Somebody else than `old`.
async fn answers(
    client: &Client,
    old: Option<u32>,
    mut child: Option<Child>,
) -> Result<(), String> {
    let deadline = Instant::now() + ANSWERS_WITHIN;
    loop {
        if client.hello().await.is_ok_and(|it| Some(it.pid) != old) {
            return Ok(());
        }
        if let Some(Ok(Some(status))) = child.as_mut().map(Child::try_wait) {
            return Err(format!("it ended at once ({status})"));
        }
        if Instant::now() > deadline {
            return Err(format!("it does not answer within {ANSWERS_WITHIN:?}"));
        }
        sleep(LOOK_EVERY).await;
    }
}

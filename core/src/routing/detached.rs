//! Processes that go on when the server ends.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use sha2::{Digest, Sha256};
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// By systemd, one that has ended.
const AGAIN_WITHIN: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A process that nothing that happens to the server happens to.
pub(super) struct Detached<'a> {
    /// Its name where systemd starts it: see [`unit`].
    pub(super) unit: String,
    pub(super) description: &'static str,
    /// Our own: it takes a session of its own where systemd gives it none.
    pub(super) program: &'a Path,
    pub(super) arguments: Vec<OsString>,
    /// What it says where systemd does not keep it.
    pub(super) log: PathBuf,
    /// systemd ends all that a service of it has started, unless that is a unit itself.
    pub(super) under_systemd: bool,
}

impl Detached<'_> {
    /// Returns once it answers; in words why it does not.
    pub(super) async fn start<F: Future<Output = bool>>(
        &self,
        answers: impl Fn() -> F,
    ) -> Result<(), String> {
        let stderr = open(&self.log).map_err(|error| error.to_string())?;
        if self.under_systemd {
            let unit = timeout(ANSWERS_WITHIN, self.by_systemd().status()).await;
            let is_begun = unit.is_ok_and(|it| it.is_ok_and(|status| status.success()));
            // One that has crashed is started again by systemd itself.
            let patience = if is_begun {
                ANSWERS_WITHIN
            } else {
                AGAIN_WITHIN
            };
            if until(&answers, patience, None).await.is_ok() {
                return Ok(());
            }
            tracing::warn!(
                unit = self.unit,
                "systemd does not start it: it ends with this service"
            );
        }
        let child = self.own(stderr).spawn().map_err(|error| {
            let program = self.program.display();
            format!("`{program}`: {error}")
        })?;
        let started = until(&answers, ANSWERS_WITHIN, Some(child)).await;
        started.map_err(|why| format!("{why}, see {}", self.log.display()))
    }

    fn own(&self, stderr: File) -> Command {
        let mut command = Command::new(self.program);
        command
            .args(&self.arguments)
            .arg("--detached")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr);
        command
    }

    /// A unit that is not written anywhere: after a reboot the server makes it again.
    fn by_systemd(&self) -> Command {
        let mut command = Command::new("systemd-run");
        if !rustix::process::geteuid().is_root() {
            command.arg("--user");
        }
        command
            .arg(format!("--unit={}", self.unit))
            .args(["--quiet", "--collect"])
            .arg(format!("--description={}", self.description))
            // One that has handed over ends without a failure.
            .args([
                "--property=Restart=on-failure",
                "--property=RestartSec=200ms",
            ])
            .args(["--property=LimitNOFILE=65536", "--"])
            .arg(self.program)
            .args(&self.arguments)
            .stdin(Stdio::null());
        command
    }
}

/// Of a server with its data there.
pub(super) fn unit(name: &str, data: &Path) -> String {
    let digest = Sha256::digest(data.as_os_str().as_encoded_bytes());
    format!("{name}-{}", hex::encode(&digest[..4]))
}

/// Whether a process is in a unit of this name.
pub(super) fn is_in_unit(pid: u32, name: &str) -> bool {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup"));
    groups.is_ok_and(|text| text.contains(name))
}

/// Nobody else reads what is beside it.
fn open(log: &Path) -> io::Result<File> {
    if let Some(folder) = log.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    File::options().create(true).append(true).open(log)
}

async fn until<F: Future<Output = bool>>(
    answers: &impl Fn() -> F,
    patience: Duration,
    mut child: Option<Child>,
) -> Result<(), String> {
    let deadline = Instant::now() + patience;
    loop {
        if timeout(patience, answers()).await.unwrap_or(false) {
            return Ok(());
        }
        if let Some(Ok(Some(status))) = child.as_mut().map(Child::try_wait) {
            return Err(format!("it ended at once ({status})"));
        }
        if Instant::now() > deadline {
            if let Some(child) = &mut child {
                // It would come up behind our back.
                let _ = child.start_kill();
            }
            return Err(format!("it does not answer within {patience:?}"));
        }
        sleep(LOOK_EVERY).await;
    }
}

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
    /// Of its unit, where systemd starts it.
    pub(super) name: &'static str,
    pub(super) description: &'static str,
    pub(super) program: &'a Path,
    pub(super) arguments: Vec<OsString>,
    /// Besides, for one that systemd does not detach.
    pub(super) own_argument: Option<&'static str>,
    /// Tells its unit from that of another server.
    pub(super) data: &'a Path,
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
            let unit = timeout(ANSWERS_WITHIN, self.unit().status()).await;
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
            let name = self.name;
            tracing::warn!(
                name,
                "systemd starts no unit for it: it ends with this service"
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
            .args(self.own_argument)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr);
        if self.own_argument.is_none() {
            // What a terminal sends to the server is not sent to it.
            command.process_group(0);
        }
        command
    }

    /// A unit that is not written anywhere: after a reboot the server makes it again. While
    /// one takes over from another there are two.
    fn unit(&self) -> Command {
        let mut command = Command::new("systemd-run");
        if !rustix::process::geteuid().is_root() {
            command.arg("--user");
        }
        let digest = Sha256::digest(self.data.as_os_str().as_encoded_bytes());
        let (data, starter) = (hex::encode(&digest[..4]), std::process::id());
        command
            .arg(format!("--unit={}-{data}-{starter}", self.name))
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
            return Err(format!("it does not answer within {patience:?}"));
        }
        sleep(LOOK_EVERY).await;
    }
}

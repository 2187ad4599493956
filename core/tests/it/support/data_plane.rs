//! The process that a server has started to hold ports, which outlives it: but not the
//! test.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

pub struct DataPlane(Option<PathBuf>);

impl DataPlane {
    /// Of the server that has its data here.
    pub fn of(data: &Path) -> Self {
        Self(Some(data.to_owned()))
    }

    pub fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for DataPlane {
    fn drop(&mut self) {
        let Some(data) = self.0.take() else { return };
        if !data.join("proxy/control.sock").exists() {
            return;
        }
        let ended = Command::new(env!("CARGO_BIN_EXE_tiny-forge"))
            .args(["proxy", "stop", "--force", "--data"])
            .arg(&data)
            .env_clear()
            .stderr(Stdio::null())
            .status();
        if !ended.is_ok_and(|status| status.success()) {
            eprintln!("nobody held the ports of {} any more", data.display());
        }
    }
}

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde_json::Value;
use tempfile::NamedTempFile;

use super::{Sites, admin::Admin, config};

const FOLDER: &str = "caddy";

/// Caddy's folder in that of the server: what it was told, certificates, what it says.
#[derive(Debug, Clone)]
pub struct CaddyHome(PathBuf);

impl CaddyHome {
    /// `data`: the server's.
    pub fn new(data: &Path) -> Self {
        Self(data.join(FOLDER))
    }

    /// As they were last applied; whether it runs or not.
    pub fn sites(&self) -> Sites {
        self.read()
            .map(|told| config::sites(&told))
            .unwrap_or_default()
    }

    /// Ends it, if it runs, until the server starts it again.
    pub async fn stop(&self) -> Result<(), super::CaddyError> {
        let admin = self.admin();
        if !admin.runs().await {
            return Ok(());
        }
        // With servers it would wait until their last client has gone.
        admin.load(&config::nothing(self)).await?;
        Ok(admin.stop().await?)
    }

    pub async fn runs(&self) -> bool {
        self.admin().runs().await
    }

    pub(super) fn admin(&self) -> Admin {
        Admin::new(self.socket())
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.0.join("admin.sock")
    }

    /// What Caddy begins with; read by us as well.
    pub(super) fn config_file(&self) -> PathBuf {
        self.0.join("config.json")
    }

    /// Certificates and their keys.
    pub(super) fn storage(&self) -> PathBuf {
        self.0.join("storage")
    }

    /// Whoever has it is the one Caddy of this folder.
    pub(super) fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    /// What it says before it has been told where its log is.
    pub(super) fn output(&self) -> PathBuf {
        self.0.join("output")
    }

    /// Before it is started anew.
    pub(super) fn forget_output(&self) {
        let _ = fs::remove_file(self.output());
    }

    pub(super) fn last_words(&self) -> Option<String> {
        let output = fs::read_to_string(self.output()).ok()?;
        // Caddy's, or ours before we became it.
        let error = |line: &str| {
            let begins = ["Error: ", "error: "].iter();
            let error = begins.copied().find_map(|it| line.strip_prefix(it))?;
            Some(error.to_owned())
        };
        output.lines().rev().find_map(error)
    }

    pub(super) fn has_sites(&self) -> bool {
        !self.sites().is_empty()
    }

    /// All of it or nothing.
    pub(super) fn write(&self, told: &Value) -> io::Result<()> {
        if self.read().as_ref() == Some(told) {
            return Ok(());
        }
        fs::create_dir_all(&self.0)?;
        let mut file = NamedTempFile::new_in(&self.0)?;
        file.write_all(&serde_json::to_vec_pretty(told)?)?;
        file.as_file().sync_all()?;
        file.persist(self.config_file())?;
        Ok(())
    }

    pub(super) fn forget(&self) -> io::Result<()> {
        match fs::remove_file(self.config_file()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn read(&self) -> Option<Value> {
        serde_json::from_slice(&fs::read(self.config_file()).ok()?).ok()
    }
}

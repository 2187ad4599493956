//! Domains and their certificates, in front of the data plane.
//!
//! [`Caddy`] is the way to a Caddy of the server's own: it is started when a lane first
//! has a domain, configured whole through its `admin` socket, and goes on by itself when
//! the server ends. What it leads to are ports of this host that the data plane listens
//! to, the same from deploy to deploy: so no deploy touches it unless domains change,
//! which matters, since Caddy cuts upgraded connections whenever its configuration changes.
//! `home` is its folder; `config` says what Caddy is told.

mod admin;
mod config;
mod home;

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::{Mutex, MutexGuard};

use super::detached::Detached;
use crate::failpoint::{self, Failpoint};
use admin::AdminError;
pub use config::{CaddySettings, Certificates, Site};
pub use home::CaddyHome;

const UNIT: &str = "tiny-forge-caddy";
/// One request to a domain, within this host.
const ATTEMPT: Duration = Duration::from_secs(2);

/// By lane, where its domains lead.
pub type Sites = BTreeMap<String, Vec<Site>>;

/// Our Caddy, as the server sees it; cheap to clone.
#[derive(Clone)]
pub struct Caddy(Arc<Shared>);

struct Shared {
    settings: CaddySettings,
    home: CaddyHome,
    data: PathBuf,
    under_systemd: bool,
    /// One changes the sites at a time.
    turn: Mutex<()>,
    /// It has been seen to run, so it is to go on.
    is_used: AtomicBool,
    /// It was started again, and nobody has been told yet.
    was_restarted: AtomicBool,
}

#[derive(Debug, thiserror::Error)]
pub enum CaddyError {
    #[error("Caddy cannot be started: {0}")]
    NotStarted(String),
    #[error("`{domain}` leads to {lane}: remove it there first")]
    Taken { domain: String, lane: String },
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error("Caddy's configuration cannot be written: {0}")]
    File(#[from] std::io::Error),
}

impl Caddy {
    pub fn new(settings: CaddySettings, data: PathBuf, under_systemd: bool) -> Self {
        Self(Arc::new(Shared {
            settings,
            home: CaddyHome::new(&data),
            data,
            under_systemd,
            turn: Mutex::new(()),
            is_used: AtomicBool::new(false),
            was_restarted: AtomicBool::new(false),
        }))
    }

    /// The lane's domains lead here, and it has no others; in force when this returns.
    /// The same again changes nothing.
    pub async fn lead(&self, lane: &str, sites: &[Site]) -> Result<(), CaddyError> {
        let turn = self.turn().await;
        let mut all = turn.sites();
        for (other, theirs) in all.iter().filter(|(other, _)| *other != lane) {
            let is_theirs = |site: &&Site| theirs.iter().any(|it| it.domain == site.domain);
            if let Some(site) = sites.iter().find(is_theirs) {
                return Err(CaddyError::Taken {
                    domain: site.domain.clone(),
                    lane: other.clone(),
                });
            }
        }
        all.insert(lane.to_owned(), sites.to_vec());
        turn.apply(all).await
    }

    /// Why it cannot serve domains on this host; none if it can, or does already.
    pub async fn obstacle(&self) -> Option<String> {
        let Shared { settings, home, .. } = &*self.0;
        if home.admin().runs().await {
            return None;
        }
        let mut command = tokio::process::Command::new(&settings.program);
        let answer = command.arg("version").output().await;
        if let Err(error) = answer {
            let program = settings.program.display();
            return Some(match error.kind() {
                ErrorKind::NotFound => format!(
                    "domains need Caddy, and `{program}` is not here: install it, as with \
                     `apt install caddy`, or name it with --caddy"
                ),
                _ => format!("domains need Caddy, and `{program}` does not run: {error}"),
            });
        }
        for port in [settings.http_port, settings.https_port] {
            let at = SocketAddr::from(([0, 0, 0, 0], port));
            if let Err(problem) = tiny_forge_proxy::can_listen(at).await {
                return Some(format!("Caddy cannot serve domains: {problem}"));
            }
        }
        None
    }

    /// What a client of a domain on this host is answered; an error if it has no
    /// certificate, or nobody answers.
    pub async fn ask(&self, domain: &str, path: &str) -> Result<u16, reqwest::Error> {
        let port = self.0.settings.https_port;
        let here = SocketAddr::from(([127, 0, 0, 1], port));
        // That there is a certificate is asked, and not of whom.
        let client = reqwest::Client::builder()
            .danger_accept_invalid_certs(true)
            .tls_built_in_root_certs(false)
            .resolve(domain, here)
            .no_proxy()
            .timeout(ATTEMPT)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let path = path.trim_start_matches('/');
        let asked = client.get(format!("https://{domain}:{port}/{path}")).send();
        Ok(asked.await?.status().as_u16())
    }

    /// Where it says what went wrong, as with certificates.
    pub fn log(&self) -> PathBuf {
        self.0.home.log()
    }

    /// It ran and is gone.
    pub(super) async fn is_lost(&self) -> bool {
        self.0.is_used.load(Ordering::Relaxed) && !self.0.home.admin().runs().await
    }

    /// Whether it was started again since this was last asked.
    pub(super) fn take_restarted(&self) -> bool {
        self.0.was_restarted.swap(false, Ordering::Relaxed)
    }

    pub(super) async fn turn(&self) -> Turn<'_> {
        Turn {
            caddy: &self.0,
            _guard: self.0.turn.lock().await,
        }
    }
}

/// The right to change sites.
pub(super) struct Turn<'a> {
    caddy: &'a Shared,
    _guard: MutexGuard<'a, ()>,
}

impl Turn<'_> {
    /// As they were last applied.
    pub(super) fn sites(&self) -> Sites {
        self.caddy.home.sites()
    }

    /// These and no others, whatever it does now; without any it ends.
    pub(super) async fn apply(&self, mut sites: Sites) -> Result<(), CaddyError> {
        let Shared {
            settings,
            home,
            is_used,
            was_restarted,
            ..
        } = self.caddy;
        sites.retain(|_, sites| !sites.is_empty());
        let admin = home.admin();
        if sites.is_empty() {
            is_used.store(false, Ordering::Relaxed);
            admin.stop().await?;
            return Ok(home.forget()?);
        }
        let wanted = config::config(settings, home, &sites);
        if admin.runs().await {
            if admin.config().await? != wanted {
                admin.load(&wanted).await?;
                failpoint::reached_by_deploy(Failpoint::DeployActed);
            }
            home.write(&wanted)?;
        } else {
            let ran = home.has_sites();
            home.write(&wanted)?;
            failpoint::reached_by_deploy(Failpoint::DeployWritten);
            self.start().await?;
            failpoint::reached_by_deploy(Failpoint::DeployActed);
            was_restarted.fetch_or(ran, Ordering::Relaxed);
        }
        is_used.store(true, Ordering::Relaxed);
        Ok(())
    }

    async fn start(&self) -> Result<(), CaddyError> {
        let Shared {
            settings,
            home,
            data,
            under_systemd,
            ..
        } = self.caddy;
        let process = Detached {
            name: UNIT,
            description: "Domains of tiny-forge",
            program: &settings.program,
            arguments: vec!["run".into(), "--config".into(), home.config_file().into()],
            own_argument: None,
            data,
            log: home.output(),
            under_systemd: *under_systemd,
        };
        let admin = home.admin();
        let started = process.start(|| admin.runs()).await;
        started.map_err(|why| CaddyError::NotStarted(home.last_words().unwrap_or(why)))
    }
}

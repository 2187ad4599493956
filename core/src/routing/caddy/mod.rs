//! Domains and their certificates, in front of the data plane.
//!
//! [`Caddy`] is the way to a Caddy of the server's own: it is started when a lane first
//! has a domain, configured whole through its `admin` socket, and goes on by itself when
//! the server ends. What it leads to are ports of this host that the data plane listens
//! to, the same from deploy to deploy: so no deploy touches it unless domains change,
//! which matters, since Caddy cuts upgraded connections whenever its configuration changes.
//! `home` is its folder, and `alone` how nobody else is at home there; `config` says what
//! Caddy is told.

mod admin;
mod alone;
mod config;
mod home;
mod turn;

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

use tokio::sync::Mutex;

use super::{Launch, routes::everywhere};
use admin::AdminError;
pub use alone::become_caddy;
pub use config::{CaddySettings, Certificates, Site};
pub use home::CaddyHome;
use turn::Turn;

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
    /// Of our own program, which becomes Caddy.
    launch: Launch,
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
    pub fn new(settings: CaddySettings, launch: Launch) -> Self {
        Self(Arc::new(Shared {
            settings,
            home: CaddyHome::new(&launch.data),
            launch,
            turn: Mutex::new(()),
            is_used: AtomicBool::new(false),
            was_restarted: AtomicBool::new(false),
        }))
    }

    /// The lane's domains lead here, and it has no others; in force when this returns.
    /// The same again changes nothing, and for a lane that has none nobody is asked.
    pub async fn lead(&self, lane: &str, sites: &[Site]) -> Result<(), CaddyError> {
        let turn = self.turn().await;
        let mut all = turn.sites();
        if sites.is_empty() && !all.contains_key(lane) {
            return Ok(());
        }
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
    /// `free`: ports that it may have, though somebody listens to them now.
    pub async fn obstacle(&self, free: &[u16]) -> Option<String> {
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
        for port in self.ports().into_iter().filter(|port| !free.contains(port)) {
            for at in everywhere(port) {
                if let Err(problem) = tiny_forge_proxy::can_listen(at).await {
                    return Some(format!("Caddy cannot serve domains: {problem}"));
                }
            }
        }
        // HTTP/3.
        let port = settings.https_port;
        let bound = std::net::UdpSocket::bind(("0.0.0.0", port));
        let error = bound.err()?;
        Some(format!(
            "Caddy cannot serve domains: port {port} of UDP: {error}"
        ))
    }

    /// Lanes whose domains it serves; none if it does not run.
    pub async fn lanes(&self) -> Vec<String> {
        let Shared { home, .. } = &*self.0;
        if home.admin().runs().await {
            home.sites().into_keys().collect()
        } else {
            Vec::new()
        }
    }

    /// That it listens to, for HTTP and HTTPS.
    pub fn ports(&self) -> [u16; 2] {
        [self.0.settings.http_port, self.0.settings.https_port]
    }

    /// Whether a domain is served to a client on this host: there is a certificate. What
    /// is answered then is up to the app.
    pub async fn serves(&self, domain: &str) -> Result<(), reqwest::Error> {
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
        let asked = client.head(format!("https://{domain}:{port}/")).send();
        match asked.await {
            Err(error) if error.is_connect() => Err(error),
            _ => Ok(()),
        }
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

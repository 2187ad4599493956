//! The servers that are compared, each started the same way.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use clap::Args;
use memchr::memmem;
use tempfile::TempDir;

use crate::{
    cores::Cores,
    http::Connection,
    process::Process,
    publisher::{Dialect, Publisher},
};

const NGINX: &str = "/usr/sbin/nginx";
const NCHAN: &str = "/usr/lib/nginx/modules/ngx_nchan_module.so";

const PATIENCE: Duration = Duration::from_secs(10);
/// Plugins are compiled first.
const PLUGIN_PATIENCE: Duration = Duration::from_secs(120);

/// Programs and places.
#[derive(Debug, Clone, Args)]
pub struct Setup {
    /// The built `hub` example
    #[arg(long, value_name = "FILE")]
    pub hub: PathBuf,
    /// Where data directories are made: on the disk whose speed counts
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub work: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Rival {
    Forge,
    Raw,
    Nchan,
    Naive,
}

impl Setup {
    fn directory(&self) -> anyhow::Result<TempDir> {
        tempfile::Builder::new()
            .prefix("bench-")
            .tempdir_in(&self.work)
            .with_context(|| format!("cannot write to `{}`", self.work.display()))
    }
}

/// A started server.
pub struct Running {
    pub process: Process,
    pub http: SocketAddr,
    pub path: &'static str,
    control: SocketAddr,
    dialect: Dialect,
    /// Removed when the server is.
    pub directory: TempDir,
}

impl Rival {
    pub const ALL: [Self; 4] = [Self::Forge, Self::Raw, Self::Nchan, Self::Naive];

    pub fn name(self) -> &'static str {
        match self {
            Self::Forge => "tiny-forge",
            Self::Raw => "raw limit",
            Self::Nchan => "nchan",
            Self::Naive => "naive axum",
        }
    }

    pub fn start(self, setup: &Setup, cores: Cores) -> anyhow::Result<Running> {
        let directory = setup.directory()?;
        let own = || std::env::current_exe().context("this program's own file");
        match self {
            Self::Forge => Running::forge(setup, directory, cores),
            Self::Raw => Running::of_ours(Command::new(own()?).arg("raw"), directory, cores),
            Self::Naive => Running::of_ours(Command::new(own()?).arg("naive"), directory, cores),
            Self::Nchan => nchan(directory, cores),
        }
    }
}

/// tiny-forge with a way to publish, and with room for every subscriber.
pub fn hub(program: &Path, data: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .arg("--data")
        .arg(data)
        .env("TINY_FORGE_STREAMS_MAX", "100000")
        .env("TINY_FORGE_STREAMS_PER_CLIENT", "100000")
        .env("TINY_FORGE_EVENTS_MAX", "100000000")
        .env("TINY_FORGE_EVENTS_MIB", "100000");
    command
}

impl Running {
    /// tiny-forge with this in its plugins folder, once all of that runs.
    pub fn with_plugins(setup: &Setup, toml: &str, cores: Cores) -> anyhow::Result<Self> {
        let directory = setup.directory()?;
        let folder = directory.path().join("plugins");
        fs::create_dir(&folder)?;
        fs::write(folder.join("bench.toml"), toml)?;
        let server = Self::forge(setup, directory, cores)?;
        let (began, mut api) = (Instant::now(), Connection::open(server.http)?);
        loop {
            let body = api.get("/api/pipelines")?.body;
            if memmem::find(&body, br#""state":"running""#).is_some() {
                return Ok(server);
            }
            if began.elapsed() > PLUGIN_PATIENCE {
                let said = String::from_utf8_lossy(&body);
                bail!("the pipeline does not run: {said}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn forge(setup: &Setup, directory: TempDir, cores: Cores) -> anyhow::Result<Self> {
        let mut hub = hub(&setup.hub, directory.path());
        Self::of_ours(&mut hub, directory, cores)
    }

    fn of_ours(command: &mut Command, directory: TempDir, cores: Cores) -> anyhow::Result<Self> {
        let mut process = Process::start(command.stdout(Stdio::piped()), Some(cores))?;
        let [http, control] = process.addresses(["http", "control"])?;
        Ok(Self {
            process,
            http,
            path: "/api/events",
            control,
            dialect: Dialect::Control,
            directory,
        })
    }

    pub fn publisher(&self) -> anyhow::Result<Publisher> {
        Publisher::connect(self.control, self.dialect)
    }
}

fn nchan(directory: TempDir, cores: Cores) -> anyhow::Result<Running> {
    let server = r#"
        location /subscribe {
            nchan_subscriber eventsource;
            nchan_channel_id bench;
            nchan_subscriber_first_message newest;
        }
        location /publish {
            nchan_publisher;
            nchan_channel_id bench;
            nchan_message_buffer_length 4096;
            nchan_message_timeout 60s;
        }"#;
    let modules = format!("load_module {NCHAN};");
    let http = "nchan_max_reserved_memory 256M;";
    if !Path::new(NCHAN).exists() {
        bail!("nchan is missing: run `.ci/setup.sh bench`");
    }
    let (process, address) = nginx(directory.path(), &modules, http, server, cores)?;
    Ok(Running {
        process,
        http: address,
        path: "/subscribe",
        control: address,
        dialect: Dialect::Nchan,
        directory,
    })
}

/// nginx with the files of `root`, set up as Debian does it; no log.
pub fn file_server(
    directory: &Path,
    root: &Path,
    cores: Cores,
) -> anyhow::Result<(Process, SocketAddr)> {
    let http = "sendfile on; tcp_nopush on; include /etc/nginx/mime.types;";
    let server = format!("location / {{ root {}; }}", root.display());
    nginx(directory, "", http, &server, cores)
}

/// One process, which is its own worker, on a free port.
fn nginx(
    directory: &Path,
    modules: &str,
    http: &str,
    server: &str,
    cores: Cores,
) -> anyhow::Result<(Process, SocketAddr)> {
    let address = free_address()?;
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|what| format!("{what}_temp_path {}/{what};\n", directory.display()))
        .concat();
    let text = format!(
        "daemon off; master_process off; worker_processes 1; worker_rlimit_nofile 20000;
        pid {0}/pid; error_log stderr error; {modules}
        events {{ worker_connections 16384; }}
        http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 1h; {temporary} {http}
            server {{ listen {address} backlog=4096; {server} }} }}\n",
        directory.display(),
    );
    let file = directory.join("nginx.conf");
    fs::write(&file, text)?;
    let mut command = Command::new(NGINX);
    command.arg("-p").arg(directory).arg("-c").arg(&file);
    let mut process = Process::start(&mut command, Some(cores))
        .context("nginx is missing: run `.ci/setup.sh bench`")?;
    let began = Instant::now();
    while TcpStream::connect(address).is_err() {
        if !process.is_running()? || began.elapsed() > PATIENCE {
            bail!("nginx does not start: see what it says above");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok((process, address))
}

/// Free a moment ago.
pub fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

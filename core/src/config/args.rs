//! Flags that have a variable and a key of the file beside them.

use std::path::PathBuf;

use clap::Args;

use super::{ConfigError, data, environment, sources::Sources, values::web_url};

/// Flags of `tiny-forge serve`. Each has an environment variable
/// `TINY_FORGE_…` and a key in the configuration file; flags win over the
/// environment, the environment over the file.
#[derive(Debug, Clone, Default, Args)]
pub struct ServeArgs {
    /// Address to listen on; port 0 takes a free one [default: 127.0.0.1:8080] [env: TINY_FORGE_LISTEN]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// Where everything is kept [default: ~/.local/share/tiny-forge] [env: TINY_FORGE_DATA]
    #[arg(long, value_name = "DIR")]
    pub data: Option<String>,
    /// Folder of plugins and their configuration [default: DATA/plugins] [env: TINY_FORGE_PLUGINS]
    #[arg(long, value_name = "DIR")]
    pub plugins: Option<String>,
    /// Address of the Docker engine [default: DOCKER_HOST, else unix:///var/run/docker.sock] [env: TINY_FORGE_ENGINE]
    #[arg(long, value_name = "URL")]
    pub engine: Option<String>,
    /// Further host names that requests may use, comma-separated [env: TINY_FORGE_HOSTS]
    #[arg(long, value_name = "NAMES")]
    pub hosts: Option<String>,
    /// Where people reach the dashboard: base of links in messages [env: TINY_FORGE_PUBLIC_URL]
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// Days to keep events [default: 90] [env: TINY_FORGE_EVENTS_DAYS]
    #[arg(long, value_name = "DAYS")]
    pub events_days: Option<String>,
    /// Events to keep at most [default: 1000000] [env: TINY_FORGE_EVENTS_MAX]
    #[arg(long, value_name = "COUNT")]
    pub events_max: Option<String>,
    /// MiB of events to keep at most [default: 1024] [env: TINY_FORGE_EVENTS_MIB]
    #[arg(long, value_name = "MIB")]
    pub events_mib: Option<String>,
    /// Days to keep log lines of deploys [default: 30] [env: TINY_FORGE_LOGS_DAYS]
    #[arg(long, value_name = "DAYS")]
    pub logs_days: Option<String>,
    /// Days to keep events of single types, instead of the above, e.g. `audit=365,system=14` [env: TINY_FORGE_TYPES_DAYS]
    #[arg(long, value_name = "TYPE=DAYS,…")]
    pub types_days: Option<String>,
    /// Log lines to keep at most [default: 2000000] [env: TINY_FORGE_LOGS_MAX]
    #[arg(long, value_name = "COUNT")]
    pub logs_max: Option<String>,
    /// MiB of log lines to keep at most [default: 1024] [env: TINY_FORGE_LOGS_MIB]
    #[arg(long, value_name = "MIB")]
    pub logs_mib: Option<String>,
    /// Event streams open at once [default: 10000] [env: TINY_FORGE_STREAMS_MAX]
    #[arg(long, value_name = "COUNT")]
    pub streams_max: Option<String>,
    /// Event streams open at once by one address [default: 1000] [env: TINY_FORGE_STREAMS_PER_CLIENT]
    #[arg(long, value_name = "COUNT")]
    pub streams_per_client: Option<String>,
    /// Deploys under way at once [default: 4] [env: TINY_FORGE_DEPLOYS_MAX]
    #[arg(long, value_name = "COUNT")]
    pub deploys_max: Option<String>,
    /// Images pulled at once [default: 2] [env: TINY_FORGE_PULLS_MAX]
    #[arg(long, value_name = "COUNT")]
    pub pulls_max: Option<String>,
    /// Program that serves domains [default: caddy] [env: TINY_FORGE_CADDY]
    #[arg(long, value_name = "PROGRAM")]
    pub caddy: Option<String>,
    /// Port of domains for HTTP, which leads to HTTPS [default: 80] [env: TINY_FORGE_HTTP_PORT]
    #[arg(long, value_name = "PORT")]
    pub http_port: Option<String>,
    /// Port of domains for HTTPS [default: 443] [env: TINY_FORGE_HTTPS_PORT]
    #[arg(long, value_name = "PORT")]
    pub https_port: Option<String>,
    /// Who gives certificates: `public` (Let's Encrypt, else ZeroSSL), `internal` (Caddy
    /// itself), or the URL of an ACME directory [default: public] [env: TINY_FORGE_CERTIFICATES]
    #[arg(long, value_name = "WHO")]
    pub certificates: Option<String>,
    /// Where they write to before a certificate ends [env: TINY_FORGE_CERTIFICATES_EMAIL]
    #[arg(long, value_name = "ADDRESS")]
    pub certificates_email: Option<String>,
    /// Configuration file in TOML; its keys are named as the flags, with `_` [env: TINY_FORGE_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Where a client finds the server.
#[derive(Debug, Clone, Default, Args)]
pub struct ServerArg {
    /// The server's address [default: http://127.0.0.1:8080] [env: TINY_FORGE_SERVER]
    #[arg(long, value_name = "URL", global = true)]
    pub server: Option<String>,
}

/// Where a command finds the data of a server, running or not.
#[derive(Debug, Clone, Default, Args)]
pub struct DataArg {
    /// Where everything is kept [default: ~/.local/share/tiny-forge] [env: TINY_FORGE_DATA]
    #[arg(long, value_name = "DIR")]
    pub data: Option<String>,
}

impl DataArg {
    pub fn path(&self) -> Result<PathBuf, ConfigError> {
        let sources = Sources {
            environment: &environment,
            file: None,
        };
        data(&sources, self.data.clone())
    }
}

impl ServerArg {
    /// Base URL without a final slash.
    pub fn url(&self) -> Result<String, ConfigError> {
        let sources = Sources {
            environment: &environment,
            file: None,
        };
        sources
            .find("server", self.server.clone())
            .map_or(Ok("http://127.0.0.1:8080".to_owned()), |found| {
                web_url(&found)
            })
    }
}

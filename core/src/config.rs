//! Flags, environment and file → one validated [`Config`]. The only reader of
//! the environment; every other part is handed what it needs.

mod args;
mod file;
mod sources;
mod values;

use std::{net::SocketAddr, path::PathBuf};

pub use args::{DataArg, ServeArgs, ServerArg};
pub use sources::ConfigError;
use sources::Sources;
use values::{
    at_least_one, certificates, count, days, days_by_type, engine, host_names, loopback, mib, port,
    web_url,
};

#[cfg(feature = "failpoints")]
use crate::failpoint::Failpoint;
use crate::{
    api::Limits,
    deploys::Caps,
    model::EventType,
    plugin_host::ForgetAfter,
    routing::{CaddySettings, Certificates},
    store::{Days, Retention},
};

/// Everything that can be set, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Loopback only, until there is authentication.
    pub listen: SocketAddr,
    pub data: PathBuf,
    pub plugins: PathBuf,
    /// No flag sets it.
    pub forget_after: ForgetAfter,
    /// Engine's address, e.g. `unix:///var/run/docker.sock`.
    pub engine: String,
    /// Host names, besides the loopback ones, that requests may name.
    pub hosts: Vec<String>,
    /// Base of links in messages, without a final slash.
    pub public_url: Option<String>,
    pub retention: Retention,
    pub limits: Limits,
    pub caps: Caps,
    pub caddy: CaddySettings,
    /// Where `docker login` keeps its logins.
    pub docker_config: Option<PathBuf>,
    /// The very binary that runs: plugins are compiled in a process of its own.
    pub compiler: PathBuf,
    /// Where our own binary is: the data plane is a process of its own too.
    pub program: PathBuf,
    /// This server is a service of systemd's.
    pub under_systemd: bool,
}

impl Config {
    /// Reads all sources. The error names the key, where it was set, and what
    /// would be right.
    pub fn load(args: &ServeArgs) -> Result<Self, ConfigError> {
        Self::from_sources(args, &environment)
    }

    fn from_sources(
        args: &ServeArgs,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let file = args
            .config
            .clone()
            .or_else(|| environment("TINY_FORGE_CONFIG").map(PathBuf::from))
            .map(|path| file::read(&path))
            .transpose()?;
        let sources = Sources {
            environment,
            file: file.as_ref(),
        };
        let key = |name, flag: &Option<String>| sources.find(name, flag.clone());

        let data = data(&sources, args.data.clone())?;
        let defaults = Retention::default();
        Ok(Self {
            listen: key("listen", &args.listen)
                .map_or(Ok(SocketAddr::from(([127, 0, 0, 1], 8080))), |found| {
                    loopback(&found)
                })?,
            plugins: key("plugins", &args.plugins)
                .map_or_else(|| Ok(data.join("plugins")), |found| found.path())?,
            forget_after: ForgetAfter::default(),
            engine: key("engine", &args.engine)
                .or_else(|| sources.variable("engine", "DOCKER_HOST"))
                .map_or(Ok(DEFAULT_ENGINE.to_owned()), |found| engine(&found))?,
            hosts: key("hosts", &args.hosts).map_or(Ok(Vec::new()), |found| host_names(&found))?,
            public_url: key("public_url", &args.public_url)
                .map(|found| web_url(&found))
                .transpose()?,
            retention: Retention {
                days: kept_days(&key, args)?,
                events_max: key("events_max", &args.events_max)
                    .map_or(Ok(defaults.events_max), |found| count(&found))?,
                events_mib: key("events_mib", &args.events_mib)
                    .map_or(Ok(defaults.events_mib), |found| mib(&found))?,
                logs_max: key("logs_max", &args.logs_max)
                    .map_or(Ok(defaults.logs_max), |found| count(&found))?,
                logs_mib: key("logs_mib", &args.logs_mib)
                    .map_or(Ok(defaults.logs_mib), |found| mib(&found))?,
            },
            limits: Limits {
                streams_max: key("streams_max", &args.streams_max)
                    .map_or(Ok(10_000), |found| at_least_one(&found))?,
                streams_per_client: key("streams_per_client", &args.streams_per_client)
                    .map_or(Ok(1_000), |found| at_least_one(&found))?,
            },
            caps: Caps {
                deploys: key("deploys_max", &args.deploys_max)
                    .map_or(Ok(4), |found| at_least_one(&found))?,
                pulls: key("pulls_max", &args.pulls_max)
                    .map_or(Ok(2), |found| at_least_one(&found))?,
            },
            caddy: CaddySettings {
                program: key("caddy", &args.caddy)
                    .map_or_else(|| "caddy".into(), |found| found.text.into()),
                http_port: key("http_port", &args.http_port)
                    .map_or(Ok(80), |found| port(&found))?,
                https_port: key("https_port", &args.https_port)
                    .map_or(Ok(443), |found| port(&found))?,
                certificates: key("certificates", &args.certificates)
                    .map_or(Ok(Certificates::Public), |found| certificates(&found))?,
                email: key("certificates_email", &args.certificates_email).map(|found| found.text),
            },
            docker_config: docker_config(environment),
            compiler: running_program(),
            program: own_program(),
            under_systemd: environment("INVOCATION_ID").is_some(),
            data,
        })
    }
}

fn kept_days(
    key: &dyn Fn(&'static str, &Option<String>) -> Option<sources::Key>,
    args: &ServeArgs,
) -> Result<Days, ConfigError> {
    let [events, logs] = [
        ("events_days", &args.events_days, EventType::System),
        ("logs_days", &args.logs_days, EventType::DeployLog),
    ]
    .map(|(name, flag, kind)| {
        let default = Retention::default().days.of(kind);
        key(name, flag).map_or(Ok(default), |found| days(&found))
    });
    let mut kept = Days::new(events?, logs?);
    if let Some(found) = key("types_days", &args.types_days) {
        for (kind, days) in days_by_type(&found)? {
            kept.set(kind, days);
        }
    }
    Ok(kept)
}

/// What to log, in the syntax of `tracing`'s `EnvFilter`.
pub fn log_filter() -> String {
    environment("TINY_FORGE_LOG").unwrap_or_else(|| "info".to_owned())
}

/// Where the server is to kill itself, for tests.
#[cfg(feature = "failpoints")]
pub fn failpoint() -> Result<Option<(Failpoint, u32)>, ConfigError> {
    let sources = Sources {
        environment: &environment,
        file: None,
    };
    let parse = |found: sources::Key| {
        let names = Failpoint::ALL.map(Failpoint::name).join(", ");
        Failpoint::parse(&found.text).ok_or_else(|| {
            found.wrong(&format!("one of {names}, with `:N` for the Nth time there"))
        })
    };
    sources.find("failpoint", None).map(parse).transpose()
}

/// The one place that reads a variable of the environment: also for secrets
/// of plugins that their configuration takes from there.
#[allow(
    clippy::disallowed_methods,
    reason = "config is the only reader of the environment"
)]
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

const DEFAULT_ENGINE: &str = "unix:///var/run/docker.sock";

fn data(sources: &Sources<'_>, flag: Option<String>) -> Result<PathBuf, ConfigError> {
    sources
        .find("data", flag)
        .map(|found| found.path())
        .transpose()?
        .or_else(|| default_data(sources.environment))
        // Processes that are started elsewhere are told where it is.
        .and_then(|path| std::path::absolute(path).ok())
        .ok_or_else(|| ConfigError::missing("data", "a directory, e.g. --data ./data"))
}

fn default_data(environment: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let base = environment("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(environment("HOME")?).join(".local/share")))?;
    Some(base.join("tiny-forge"))
}

/// Leads to the file that this process runs, also once an upgrade has put another one in its
/// place: that one may compile what this one cannot load.
const RUNNING_PROGRAM: &str = "/proc/self/exe";

fn running_program() -> PathBuf {
    let running = PathBuf::from(RUNNING_PROGRAM);
    if running.exists() {
        running
    } else {
        own_program()
    }
}

fn own_program() -> PathBuf {
    std::env::current_exe().unwrap_or_else(|_| "tiny-forge".into())
}

/// As Docker itself looks for it.
fn docker_config(environment: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let folder = environment("DOCKER_CONFIG")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(environment("HOME")?).join(".docker")))?;
    Some(folder.join("config.json"))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::{Config, EventType, RUNNING_PROGRAM, ServeArgs};

    fn load(args: &ServeArgs, variables: &[(&str, &str)]) -> Result<Config, String> {
        let environment = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let args = ServeArgs {
            data: Some("/tmp/data".into()),
            ..args.clone()
        };
        Config::from_sources(&args, &environment).map_err(|error| error.to_string())
    }

    fn with_file(text: &str) -> (tempfile::NamedTempFile, ServeArgs) {
        let mut file = tempfile::NamedTempFile::new().expect("temporary file");
        file.write_all(text.as_bytes()).expect("written");
        let args = ServeArgs {
            config: Some(file.path().to_owned()),
            ..ServeArgs::default()
        };
        (file, args)
    }

    #[test]
    fn a_flag_wins_over_the_environment_and_that_over_the_file() {
        let (_file, args) = with_file("listen = \"127.0.0.1:1\"\nevents_days = 7\n");
        let config = load(&args, &[]).expect("valid");
        let days = config.retention.days.of(EventType::Audit);
        assert_eq!((config.listen.port(), days), (1, 7));
        let variables = [("TINY_FORGE_LISTEN", "127.0.0.1:2")];
        assert_eq!(load(&args, &variables).expect("valid").listen.port(), 2);
        let args = ServeArgs {
            listen: Some("127.0.0.1:3".into()),
            ..args
        };
        assert_eq!(load(&args, &variables).expect("valid").listen.port(), 3);
    }

    #[test]
    fn a_wrong_value_says_which_key_where_and_what_would_be_right() {
        let (file, args) = with_file("# mine\nlisten = \"nowhere\"\n");
        let error = load(&args, &[]).expect_err("refused");
        let place = format!("{}:2", file.path().display());
        assert!(
            error.contains("`listen`") && error.contains(&place),
            "{error}"
        );
        assert!(error.contains("127.0.0.1:8080"), "{error}");

        let args = ServeArgs::default();
        let error = load(&args, &[("TINY_FORGE_EVENTS_DAYS", "0")]).expect_err("refused");
        assert!(
            error.contains("TINY_FORGE_EVENTS_DAYS") && error.contains("at least 1"),
            "{error}"
        );
    }

    #[test]
    fn single_types_have_days_of_their_own() {
        let days = |file: &str| {
            let (_file, args) = with_file(file);
            let config = load(&args, &[("TINY_FORGE_LOGS_DAYS", "3")])?;
            let days = config.retention.days;
            let kinds = [EventType::Audit, EventType::System, EventType::DeployLog];
            Ok::<_, String>(kinds.map(|kind| days.of(kind)))
        };
        for types in ["\"audit=365, system=7\"", "{ audit = 365, system = 7 }"] {
            assert_eq!(days(&format!("types_days = {types}\n")), Ok([365, 7, 3]));
        }
        assert_eq!(days("types_days = \"\"\n"), Ok([90, 90, 3]));
        for wrong in ["audit", "audit=0", "audits=1", "audit=1=2"] {
            let error = days(&format!("types_days = \"{wrong}\"\n")).expect_err("refused");
            assert!(
                error.contains("`types_days`") && error.contains("audit=365"),
                "{error}"
            );
        }
    }

    #[test]
    fn an_unknown_key_in_the_file_is_named_with_its_line() {
        let (_file, args) = with_file("\nlisen = \"127.0.0.1:1\"\n");
        let error = load(&args, &[]).expect_err("refused");
        assert!(
            error.contains("lisen") && error.contains("line 2"),
            "{error}"
        );
    }

    #[test]
    fn host_names_are_names_alone_as_requests_have_them() {
        let hosts = |names: &str| {
            let args = ServeArgs {
                hosts: Some(names.into()),
                ..ServeArgs::default()
            };
            load(&args, &[]).map(|config| config.hosts)
        };
        let read = hosts("Forge.lan, 10.0.0.7,[fd00::0:1],bücher.example").expect("valid");
        let expected = [
            "forge.lan",
            "10.0.0.7",
            "[fd00::1]",
            "xn--bcher-kva.example",
        ];
        assert_eq!(read, expected);
        for wrong in [
            "forge.lan:8080",
            "http://forge.lan",
            "*.lan",
            "fd00::1",
            "a b",
        ] {
            let error = hosts(&format!("good.lan,{wrong}")).expect_err("refused");
            assert!(
                error.contains("--hosts") && error.contains("without scheme, port"),
                "{error}"
            );
        }
    }

    #[test]
    fn plugins_are_compiled_by_the_file_that_runs_whatever_is_in_its_place_by_now() {
        let config = load(&ServeArgs::default(), &[]).expect("valid");
        assert_eq!(config.compiler, std::path::Path::new(RUNNING_PROGRAM));
        // What goes on after an upgrade is started from where that is.
        assert_ne!(config.program, config.compiler);
    }

    #[test]
    fn an_address_that_others_can_reach_is_refused() {
        let args = ServeArgs {
            listen: Some("0.0.0.0:8080".into()),
            ..ServeArgs::default()
        };
        let error = load(&args, &[]).expect_err("refused");
        assert!(
            error.contains("--listen") && error.contains("no sign-in"),
            "{error}"
        );
    }
}

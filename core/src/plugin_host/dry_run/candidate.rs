use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tempfile::TempDir;

use super::Tried;
use crate::{
    model::{DryRunRequest, Throttle, When},
    plugin_host::{
        HostError, PluginHost,
        config::{FileConfig, PipelineConfig, PluginConfig, Source},
        plugin::Wanted,
    },
};

/// What a TOML file in a request is called in errors.
const TOML: &str = "toml";

/// What is to be tried: as the request says it, and else as the folder does.
pub(super) struct Candidate {
    pub tried: What,
    /// All that take part, by name.
    pub plugins: BTreeMap<String, PluginConfig>,
    /// Files that are in no folder yet.
    pub files: Option<Files>,
}

pub(super) enum What {
    Plugin {
        name: String,
        when: When,
    },
    Pipeline {
        name: String,
        config: PipelineConfig,
    },
}

/// Files of a request, for as long as this lives.
pub(super) struct Files {
    pub dir: TempDir,
    names: Vec<String>,
}

impl Candidate {
    pub fn new(host: &PluginHost, tried: Tried, request: DryRunRequest) -> Result<Self, HostError> {
        let files = Files::unpack(&request.files)?;
        let mut given = match &request.toml {
            Some(text) => FileConfig::parse(TOML, text)
                .map_err(|error| HostError::invalid("toml", error.to_string()))?,
            None => FileConfig::default(),
        };
        let tried = match tried {
            Tried::Plugin(name) => What::Plugin {
                name,
                // Somebody who tries a plugin wants to see what it does.
                when: request.when.unwrap_or(When {
                    planned: true,
                    ..When::default()
                }),
            },
            Tried::Pipeline(name) => What::Pipeline {
                config: given
                    .pipelines
                    .remove(&name)
                    .or_else(|| configured_pipeline(host, &name))
                    .ok_or_else(|| unknown_pipeline(&name))?,
                name,
            },
        };
        let mut plugins = BTreeMap::new();
        for name in tried.plugins() {
            let given = given.plugins.remove(name);
            let config = match (given, &files) {
                (Some(given), _) => given,
                (None, Some(files)) => match files.configure(host, name) {
                    Some(config) => config,
                    None => configured_plugin(host, name)?,
                },
                (None, None) => configured_plugin(host, name)?,
            };
            plugins.insert(name.to_owned(), config);
        }
        Ok(Self {
            tried,
            plugins,
            files,
        })
    }

    pub fn throttle(&self) -> Throttle {
        match &self.tried {
            What::Plugin { .. } => Throttle::default(),
            What::Pipeline { config, .. } => config.throttle.clone(),
        }
    }

    pub fn when(&self) -> &When {
        match &self.tried {
            What::Plugin { when, .. } => when,
            What::Pipeline { config, .. } => &config.when,
        }
    }
}

impl What {
    /// Each once, though it may be named in several places.
    fn plugins(&self) -> BTreeSet<&str> {
        match self {
            Self::Plugin { name, .. } => BTreeSet::from([name.as_str()]),
            Self::Pipeline { config, .. } => config.plugins().collect(),
        }
    }

    /// As deliveries name it.
    pub fn pipeline(&self) -> &str {
        match self {
            Self::Plugin { .. } => "dry-run",
            Self::Pipeline { name, .. } => name,
        }
    }
}

fn configured_pipeline(host: &PluginHost, name: &str) -> Option<PipelineConfig> {
    let live = host.live();
    Some(live.pipelines.get(name)?.config.clone())
}

fn configured_plugin(host: &PluginHost, name: &str) -> Result<PluginConfig, HostError> {
    let live = host.live();
    let plugin = live.plugins.get(name);
    let wanted = plugin.map(|plugin| plugin.wanted.borrow().clone());
    match wanted {
        Some(Wanted::Run { config, .. }) => Ok(*config),
        Some(Wanted::Describe { file, .. }) => Ok(PluginConfig::of(Source::File(file))),
        Some(Wanted::Missing { file }) => Err(HostError::Conflict(format!(
            "the file `{file}` of plugin `{name}` is not in the plugins folder: put it there, or \
             try the file itself"
        ))),
        None => Err(unknown_plugin(name)),
    }
}

fn unknown_plugin(name: &str) -> HostError {
    HostError::NothingToTry {
        kind: "plugin",
        name: name.to_owned(),
        remedy: format!(
            "add [plugin.{name}] to a file in the plugins folder, or to the `toml` that is tried, \
             or try its file `{name}.wasm` itself"
        ),
    }
}

fn unknown_pipeline(name: &str) -> HostError {
    HostError::NothingToTry {
        kind: "pipeline",
        name: name.to_owned(),
        remedy: format!(
            "add [pipeline.{name}] to a file in the plugins folder, or to the `toml` that is tried"
        ),
    }
}

impl Files {
    /// `None` where there are none.
    fn unpack(files: &BTreeMap<String, String>) -> Result<Option<Self>, HostError> {
        if files.is_empty() {
            return Ok(None);
        }
        let unwritable = |error: io::Error| HostError::Folder {
            folder: "for the files of a dry run".to_owned(),
            reason: error.to_string(),
        };
        let dir = tempfile::tempdir().map_err(unwritable)?;
        for (name, content) in files {
            let field = format!("files/{name}");
            // The same rule as for `file = …`: a name, and no path.
            PluginConfig::check_file(name)
                .map_err(|message| HostError::invalid(&field, message))?;
            let bytes = STANDARD
                .decode(content)
                .map_err(|error| HostError::invalid(&field, format!("expected base64: {error}")))?;
            fs::write(dir.path().join(name), bytes).map_err(unwritable)?;
        }
        Ok(Some(Self {
            dir,
            names: files.keys().cloned().collect(),
        }))
    }

    pub fn has(&self, source: &Source) -> bool {
        match source {
            Source::File(name) => self.names.contains(name),
            Source::Builtin(_) => false,
        }
    }

    /// For a plugin that came as a file: what is configured for a file of that name, or
    /// nothing, for one of the plugin's name.
    fn configure(&self, host: &PluginHost, plugin: &str) -> Option<PluginConfig> {
        let configured = configured_plugin(host, plugin).ok();
        if let Some(config) = configured.filter(|config| self.has(&config.source)) {
            // It is looked at before it is taken.
            return Some(PluginConfig {
                sha256: None,
                ..config
            });
        }
        let source = Source::File(format!("{plugin}.wasm"));
        self.has(&source).then(|| PluginConfig::of(source))
    }
}

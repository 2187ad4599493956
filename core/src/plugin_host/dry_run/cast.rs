use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::watch;

use super::candidate::{Candidate, What};
use crate::{
    model::{DryRunPlugin, OnError, PipelineStep, PluginRole},
    plugin_host::{
        HostError, PluginHost,
        capabilities::Rehearsal,
        pipeline::DryPipeline,
        plugin::{Kit, PluginStatus, Runner, Version, Versions},
    },
    store::PluginWrite,
};

/// Those who take part in a dry run, ready to be asked.
pub(super) struct Cast {
    pub pipeline: DryPipeline,
    pub sinks: Vec<(String, Runner)>,
    players: BTreeMap<String, Player>,
}

struct Player {
    version: Arc<Version>,
    status: Arc<PluginStatus>,
    /// Held, so that the version stays.
    versions: watch::Sender<Option<Arc<Version>>>,
    missing_grants: Vec<String>,
    installed: bool,
}

impl Cast {
    pub async fn prepare(
        host: &PluginHost,
        candidate: &Candidate,
        rehearsal: &Arc<Rehearsal>,
    ) -> Result<Self, HostError> {
        let kit = Kit {
            rehearsal: Some(rehearsal.clone()),
            ..host.shared().kit.clone()
        };
        let mut players = BTreeMap::new();
        for (name, config) in &candidate.plugins {
            let mut kit = kit.clone();
            if let Some(files) = &candidate.files
                && files.has(&config.source)
            {
                files.dir.path().clone_into(&mut kit.folder);
            }
            let status = Arc::new(PluginStatus::new(name, String::new(), None));
            let prepared = kit.prepare(name, config, status.metrics()).await;
            let prepared = prepared.map_err(|error| {
                HostError::Conflict(format!("plugin `{name}` cannot be tried: {error}"))
            })?;
            let installed = running_digest(host, name);
            let missing_grants = prepared.accepted.missing.lines;
            let player = Player::new(status, prepared.version, missing_grants, installed);
            players.insert(name.clone(), player);
        }
        let (steps, sinks) = parts(candidate, &players)?;
        let steps = steps.iter().map(|step| {
            let player = &players[&step.plugin];
            (player.role(), player.runner(&kit), step.on_error)
        });
        let pipeline = DryPipeline::new(candidate.when(), &candidate.throttle(), steps.collect())
            .map_err(|error| HostError::invalid("when", error.to_string()))?;
        let sinks = sinks.into_iter().map(|name| {
            let runner = players[&name].runner(&kit);
            (name, runner)
        });
        Ok(Self {
            pipeline,
            sinks: sinks.collect(),
            players,
        })
    }

    /// What a plugin wrote in a call, for it to find again.
    pub fn keep(&self, plugin: &str, writes: Vec<PluginWrite>) {
        if let Some(player) = self.players.get(plugin) {
            player.version.setup.values.rehearse(writes);
        }
    }

    /// As people see them.
    pub fn shown(&self) -> Vec<DryRunPlugin> {
        let players = self.players.iter();
        players.map(|(name, player)| player.shown(name)).collect()
    }
}

impl Player {
    fn new(
        status: Arc<PluginStatus>,
        version: Version,
        missing_grants: Vec<String>,
        installed: Option<String>,
    ) -> Self {
        let version = Arc::new(version);
        Self {
            status,
            installed: installed.as_deref() == Some(version.module.digest()),
            versions: watch::channel(Some(version.clone())).0,
            version,
            missing_grants,
        }
    }

    fn runner(&self, kit: &Kit) -> Runner {
        let versions: Versions = self.versions.subscribe();
        Runner::new(kit.sandbox.clone(), versions, self.status.clone())
    }

    fn role(&self) -> PluginRole {
        self.version.module.role()
    }

    fn shown(&self, name: &str) -> DryRunPlugin {
        DryRunPlugin {
            name: name.to_owned(),
            role: self.role(),
            version: self.version.number.clone(),
            digest: self.version.module.digest().to_owned(),
            installed: self.installed,
            faults: self.status.metrics().faults.total(),
            missing_grants: self.missing_grants.clone(),
            log: self.version.setup.log.lines(),
        }
    }
}

fn running_digest(host: &PluginHost, name: &str) -> Option<String> {
    let live = host.live();
    let version = live.plugins.get(name)?.versions.borrow().clone()?;
    Some(version.module.digest().to_owned())
}

/// Steps and sinks; a plugin by itself is one or the other.
fn parts(
    candidate: &Candidate,
    players: &BTreeMap<String, Player>,
) -> Result<(Vec<PipelineStep>, Vec<String>), HostError> {
    let role = |name: &str| players[name].role();
    match &candidate.tried {
        What::Plugin { name, .. } if role(name) == PluginRole::Sink => {
            Ok((Vec::new(), vec![name.clone()]))
        }
        What::Plugin { name, .. } => {
            let step = PipelineStep {
                plugin: name.clone(),
                on_error: OnError::default(),
            };
            Ok((vec![step], Vec::new()))
        }
        What::Pipeline { config, .. } => {
            let steps = config.steps.iter().map(|step| &step.plugin);
            let mut wrong = steps.filter(|name| role(name) == PluginRole::Sink).chain(
                config
                    .sinks
                    .iter()
                    .filter(|name| role(name) != PluginRole::Sink),
            );
            if let Some(name) = wrong.next() {
                let problem = players[name].version.misplaced(name);
                return Err(HostError::Conflict(problem));
            }
            Ok((config.steps.clone(), config.sinks.clone()))
        }
    }
}

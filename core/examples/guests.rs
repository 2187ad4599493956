//! What a plugin costs the server: a call of a warm guest, the load of a compiled
//! one, the memory of one at rest. Everything is as in the server, with all limits
//! on; nothing is stored or sent.
//!
//! Prints a figure a line: its name, with its unit last, and its value. With
//! `--calls` alone its instructions can be counted.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use clap::Parser;
use cpu_time::ThreadTime;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tiny_forge::{
    events::Log,
    model::Severity,
    plugin_host::{
        capabilities::{HttpAccess, HttpGrants, PluginLog, PluginValues, Secrets, Trust},
        compile::{self, Compiler},
        plugin::{PluginStatus, Runner, Version},
        sandbox::{GuestEvent, Limits, Sandbox, Setup},
    },
    store::{Keyring, Store},
};
use tokio::sync::watch;

/// Calls until caches are warm.
const WARM_UP: u32 = 1_000;
/// As the server gives back what was only needed for a moment.
const AT_REST: Duration = Duration::from_secs(3);

#[derive(Parser)]
struct Args {
    /// A filter
    #[arg(long, value_name = "FILE")]
    wasm: PathBuf,
    /// Its configuration
    #[arg(long, value_name = "JSON")]
    config: String,
    /// Calls of one warm guest
    #[arg(long, default_value_t = 0)]
    calls: u32,
    /// Loads from the cache
    #[arg(long, default_value_t = 0)]
    loads: u32,
    /// Guests at rest
    #[arg(long, default_value_t = 0)]
    instances: u32,
}

/// As a supervisor keeps it.
type Published = watch::Sender<Option<Arc<Version>>>;

/// One plugin, compiled, and what its guests share.
struct Lab {
    wasm: Vec<u8>,
    digest: String,
    sandbox: Sandbox,
    compiler: Compiler,
    store: Store,
    /// One plugin has one, however many guests it has.
    status: Arc<PluginStatus>,
    config: String,
    _directory: TempDir,
}

fn main() -> anyhow::Result<()> {
    // The compiler starts this program as its child.
    if std::env::args().skip(1).eq(["plugin", "compile"]) {
        return Ok(compile::compile_in_this_process()?);
    }
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(measure(&args))
}

async fn measure(args: &Args) -> anyhow::Result<()> {
    let lab = Lab::new(&args.wasm, &args.config)?;
    let versions = lab.versions().await?;
    if args.calls > 0 {
        let took = call(&mut lab.runner(&versions), args.calls).await?;
        println!("call_us {}", us(took) / f64::from(args.calls));
    }
    if args.loads > 0 {
        println!("load_ms {}", lab.load(args.loads).await? / 1_000.0);
    }
    if args.instances > 0 {
        let bytes = lab.rest(&versions, args.instances).await?;
        println!("instance_kib {}", bytes / 1_024.0);
    }
    Ok(())
}

impl Lab {
    fn new(wasm: &Path, config: &str) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let wasm = fs::read(wasm).with_context(|| format!("{}", wasm.display()))?;
        let keyring = Arc::new(Keyring::open(directory.path())?);
        let database = directory.path().join("guests.db");
        let (store, _) = Store::open(&database, &Log::new())?;
        Ok(Self {
            digest: hex::encode(Sha256::digest(&wasm)),
            wasm,
            sandbox: Sandbox::new()?,
            compiler: Compiler::new(
                std::env::current_exe()?,
                directory.path().join("cache"),
                keyring,
            ),
            store,
            status: Arc::new(PluginStatus::new("bench", "bench.wasm".into(), None)),
            config: config.to_owned(),
            _directory: directory,
        })
    }

    /// One, made anew: from the cache but for the first time.
    async fn versions(&self) -> anyhow::Result<Published> {
        let compiled = self.compiler.compile(&self.wasm, &self.digest).await?;
        let module = self.sandbox.load(&compiled)?;
        let secrets = Secrets::default();
        let setup = Setup {
            plugin: "bench".into(),
            limits: Limits::for_role(module.role()),
            log: PluginLog::new("bench", secrets.scrubber()),
            http: HttpAccess::new(
                HttpGrants::default(),
                Vec::new(),
                "bench",
                &Trust::default(),
            )?,
            secrets,
            values: PluginValues::new(self.store.clone(), "bench"),
            metrics: Arc::default(),
            rehearsal: None,
        };
        let version = Version {
            number: "1.0.0".into(),
            module,
            setup,
            config: self.config.clone(),
        };
        Ok(watch::Sender::new(Some(Arc::new(version))))
    }

    fn runner(&self, versions: &Published) -> Runner {
        let versions = versions.subscribe();
        Runner::new(self.sandbox.clone(), versions, self.status.clone())
    }

    /// From the bytes of the file to the first answer; the median, in µs.
    async fn load(&self, times: u32) -> anyhow::Result<f64> {
        let mut took = Vec::new();
        for _ in 0..times {
            let began = Instant::now();
            let versions = self.versions().await?;
            self.runner(&versions).filter(&event()).await?;
            took.push(us(began.elapsed()));
        }
        took.sort_unstable_by(f64::total_cmp);
        Ok(took[took.len() / 2])
    }

    /// Resident bytes of each of so many guests that have been called once.
    async fn rest(&self, versions: &Published, count: u32) -> anyhow::Result<f64> {
        // What the first one needs is not counted to the others.
        let mut runners = vec![self.runner(versions)];
        runners[0].filter(&event()).await?;
        tokio::time::sleep(AT_REST).await;
        let before = resident_bytes()?;
        for _ in 0..count {
            let mut runner = self.runner(versions);
            runner.filter(&event()).await?;
            runners.push(runner);
        }
        tokio::time::sleep(AT_REST).await;
        Ok((resident_bytes()? - before) / f64::from(count))
    }
}

/// CPU time of this thread.
async fn call(runner: &mut Runner, times: u32) -> anyhow::Result<Duration> {
    let event = event();
    for _ in 0..WARM_UP {
        runner.filter(&event).await?;
    }
    let began = ThreadTime::now();
    for _ in 0..times {
        runner.filter(&event).await?;
    }
    Ok(began.elapsed())
}

/// About 300 bytes.
fn event() -> GuestEvent {
    GuestEvent {
        id: 4_711,
        kind: "deploy_status".into(),
        time: "2026-03-27T12:30:25.123Z".into(),
        node: "n-3f2a91c0d4e1".into(),
        subject: "shop/prod/deploys/17".into(),
        severity: Severity::Info,
        actor: "user:alex".into(),
        cause: Some(4_709),
        payload: r#"{"project":"shop","stage":"prod","deploy_id":17,"status":"running","previous":"queued","generation":12,"image":"registry.example/shop:1.4.2","digest":"sha256:3f2a91c0d4e1"}"#.into(),
        annotations: "{}".into(),
    }
}

fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn resident_bytes() -> anyhow::Result<f64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    Ok(kib.context("its resident memory")? * 1_024.0)
}

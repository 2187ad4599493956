//! Resident memory over many hot reloads.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use serde_json::Value;

use super::{Bench, digits, median, mib};
use crate::{
    http::Connection,
    report::{Bars, Figure, Page, Scale, Target},
    rivals::Running,
};

/// Copies of a plugin that are replaced at once.
const COPIES: usize = 4;
/// Until memory has its form.
const WARM_UP: usize = 200;
/// Until what was only needed for a moment has been given back.
const AT_REST: Duration = Duration::from_secs(3);
/// Longer than the compiler has.
const PATIENCE: Duration = Duration::from_secs(150);

/// Of one run, in MiB.
struct Rss {
    at_first: f64,
    at_last: f64,
}

pub fn measure(bench: &Bench, page: &mut Page) -> anyhow::Result<Vec<Figure>> {
    let reloads = if bench.args.quick { 300 } else { 1_000 };
    let mut runs = Vec::new();
    for _ in 0..bench.repetitions() {
        let rss = run(bench, reloads)?;
        bench.say(&format!(
            "reloads: {} MiB after {WARM_UP}, {} MiB after {reloads}",
            digits(rss.at_first),
            digits(rss.at_last)
        ));
        runs.push(rss);
    }
    let of = |it: fn(&Rss) -> f64| median(runs.iter().map(it).collect());
    let (at_first, at_last) = (of(|it| it.at_first), of(|it| it.at_last));
    let mut bars = Bars::new("RSS after hot reloads", "MiB", Scale::Linear);
    bars.series = vec!["RSS"];
    bars.group(format!("{WARM_UP} reloads"), vec![at_first]);
    bars.group(format!("{reloads} reloads"), vec![at_last]);
    page.plot("reloads", &bars);
    Ok(vec![
        Figure::new(format!("RSS after {reloads} hot reloads"), at_last, "MiB"),
        Figure::must(
            format!("RSS after {reloads} hot reloads, above that after {WARM_UP}"),
            of(|it| (it.at_last - it.at_first).max(0.0)),
            "MiB",
            Target::AtMost(2.0),
        ),
    ])
}

fn run(bench: &Bench, reloads: usize) -> anyhow::Result<Rss> {
    let example = bench.args.examples.join("quiet-hours.wasm");
    let wasm = fs::read(&example)
        .with_context(|| format!("`{}`: run `make plugins`", example.display()))?;
    let server = Running::with_plugins(&bench.args.setup, &toml(), bench.cores)?;
    let (mut done, mut at_first) = (0, 0.0);
    while done < reloads {
        reload(&server, &version(&wasm, done))?;
        done += COPIES;
        if done == WARM_UP {
            at_first = rss_mib(&server)?;
        }
    }
    let at_last = rss_mib(&server)?;
    Ok(Rss { at_first, at_last })
}

fn toml() -> String {
    let mut toml = String::new();
    for copy in 0..COPIES {
        toml += &format!(
            "[plugin.p{copy}]\nfile = \"p{copy}.wasm\"\nconfig.from = \"22:00\"\n\
             config.to = \"06:00\"\n[pipeline.p{copy}]\nwhen.type = [\"system\"]\n\
             steps = [\"p{copy}\"]\nsinks = [\"hook\"]\n"
        );
    }
    toml + "[plugin.hook]\nfile = \"builtin:webhook\"\nconfig.url = \"https://hooks.example/\"\n\
            config.sign_with = []\n[pipeline.idle]\nwhen.severity = \"critical\"\nsinks = [\"hook\"]\n"
}

/// The same component with one more custom section: another digest.
fn version(wasm: &[u8], number: usize) -> Vec<u8> {
    let mark = format!("{number:08}");
    let mut version = wasm.to_vec();
    version.extend([0, 13, 4]);
    version.extend(b"mark");
    version.extend(mark.as_bytes());
    version
}

/// Puts all copies there, and waits until the new ones run.
fn reload(server: &Running, wasm: &[u8]) -> anyhow::Result<()> {
    let folder = server.directory.path().join("plugins");
    let mut api = Connection::open(server.http)?;
    let before = digests(&plugins(&mut api)?);
    for copy in 0..COPIES {
        let unfinished = folder.join(".new");
        fs::write(&unfinished, wasm)?;
        fs::rename(unfinished, folder.join(format!("p{copy}.wasm")))?;
    }
    let began = Instant::now();
    loop {
        let listed = plugins(&mut api)?;
        let now = digests(&listed);
        if now.len() == COPIES && now.iter().all(|it| *it == now[0] && !before.contains(it)) {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            bail!("the new plugins do not run: {listed:#?}");
        }
        thread::sleep(Duration::from_millis(10));
    }
}

fn plugins(api: &mut Connection) -> anyhow::Result<Vec<Value>> {
    let answer = api.get("/api/plugins")?;
    let mut listed: Value = serde_json::from_slice(&answer.body)?;
    match listed["items"].take() {
        Value::Array(plugins) => Ok(plugins),
        other => bail!("no list of plugins: {other}"),
    }
}

/// Of the copies that run.
fn digests(plugins: &[Value]) -> Vec<String> {
    let copies = plugins
        .iter()
        .filter(|it| it["name"] != "hook" && it["state"] == "running");
    let digests = copies.filter_map(|it| it["digest"].as_str());
    digests.map(str::to_owned).collect()
}

fn rss_mib(server: &Running) -> anyhow::Result<f64> {
    thread::sleep(AT_REST);
    Ok(mib(server.process.rss()?))
}

//! Memory over many hot reloads.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::support::{
    folder::{built, put, webhook},
    program::Program,
    target::Target,
    wait,
};

const COPIES: [&str; 4] = ["a", "b", "c", "d"];
/// Until memory has its form.
const FIRST: usize = 5;
const ROUNDS: usize = 60;
/// Looks of which the least counts, at the beginning and at the end: what comes and goes with
/// each reload is left out.
const LOOKS: usize = 15;
/// Less than a leak of anything that belongs to each version: its machine code is half a
/// megabyte, a guest is 43 KiB, of which there were 160 in between.
const SLACK_BYTES: u64 = 5 << 20;

/// Two versions of one plugin, which the cache knows after the first two rounds.
fn version(round: usize) -> Vec<u8> {
    let mut wasm = fs::read(built("rules")).expect("it can be read");
    wasm.extend([0, 6, 4, b'm', b'a', b'r', b'k', b'0' + (round % 2) as u8]);
    wasm
}

fn replace_all(folder: &Path, round: usize) {
    let wasm = version(round);
    for name in COPIES {
        put(folder, &format!("{name}.wasm"), &wasm);
    }
}

/// Waits until all run with other files than these; which they are then.
async fn others_than(program: &Program, before: &[Value]) -> Vec<Value> {
    let found = wait::answer(async || {
        let listed = program.json("/api/plugins").await;
        let items = listed["items"].as_array().expect("items").iter();
        let running = items.filter(|it| it["state"] == "running" && it["name"] != "hook");
        let digests: Vec<Value> = running.map(|it| it["digest"].clone()).collect();
        let all = digests.len() == COPIES.len() && !digests.iter().any(|it| before.contains(it));
        all.then_some(digests)
    });
    found.await.expect("they change in time")
}

fn rss_bytes(program: &Program) -> u64 {
    let path = PathBuf::from(format!("/proc/{}/status", program.id()));
    let status = fs::read_to_string(path).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kib: u64 = kib.expect("a size").trim().parse().expect("a number");
    kib << 10
}

/// A plugin in a step of its own, which lets nothing through.
fn toml(name: &str) -> String {
    format!(
        "[plugin.{name}]\nfile = \"{name}.wasm\"\nconfig.rules = [{{ drop_if = 'true' }}]\n\
         [pipeline.{name}]\nwhen.type = \"project_status\"\nsteps = [\"{name}\"]\n\
         sinks = [\"hook\"]\n"
    )
}

/// Waits until each plugin has been asked about so many events, and has no guest but the one
/// that was asked last.
async fn asked(program: &Program, events: usize) {
    let mut guests = Vec::new();
    let found = wait::answer(async || {
        let pipelines = program.json("/api/pipelines").await;
        let mut items = pipelines["items"].as_array().expect("items").iter();
        let are_asked = items.all(|it| it["dropped"] == events);
        let plugins = program.json("/api/plugins").await;
        let items = plugins["items"].as_array().expect("items").iter();
        let copies = items.filter(|it| it["name"] != "hook");
        guests = copies.map(|it| it["memory"]["guests"].clone()).collect();
        (are_asked && guests == [1; COPIES.len()]).then_some(())
    });
    found
        .await
        .unwrap_or_else(|| panic!("guests after {events} reloads: {guests:?}"));
}

#[tokio::test]
async fn hundreds_of_hot_reloads_leave_one_guest_in_each_place_and_memory_flat() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let folder = dir.path().join("plugins");
    let nobody = Target::start().await;
    replace_all(&folder, 0);
    let steps = COPIES.map(toml).concat();
    put(
        &folder,
        "all.toml",
        webhook("hook", "builtin:webhook", &nobody) + &steps,
    );
    let program = Program::serve(dir.path()).await;
    let mut digests = others_than(&program, &[]).await;
    let mut looks = Vec::new();
    for round in 1..=ROUNDS {
        replace_all(&folder, round);
        digests = others_than(&program, &digests).await;
        program.create_project(&format!("p{round}")).await;
        asked(&program, round).await;
        looks.push(rss_bytes(&program));
    }
    let least = |looks: &[u64]| looks.iter().copied().min().expect("looks");
    let (first, last) = (
        least(&looks[FIRST..FIRST + LOOKS]),
        least(&looks[ROUNDS - LOOKS..]),
    );
    assert!(last < first + SLACK_BYTES, "{first} bytes, then {last}");
}

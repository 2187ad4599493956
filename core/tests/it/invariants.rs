//! The architecture's invariants, read off the source.

use std::{
    fs,
    path::{Path, PathBuf},
};

struct Source {
    /// Path below `core/src`; of other crates, below `core`.
    path: String,
    /// Without comments.
    code: String,
}

fn sources() -> Vec<Source> {
    let core = Path::new(env!("CARGO_MANIFEST_DIR"));
    let roots = [
        (core.join("src"), core.join("src")),
        (core.join("model/src"), core.to_owned()),
        (core.join("events/src"), core.to_owned()),
        (core.join("proxy/src"), core.to_owned()),
    ];
    let found: Vec<Source> = roots
        .iter()
        .flat_map(|(folder, base)| sources_in(folder, base))
        .collect();
    assert!(
        found.len() > 20,
        "the sources are where this test looks for them"
    );
    found
}

fn sources_in(folder: &Path, base: &Path) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder of sources") {
            let path: PathBuf = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = fs::read_to_string(&path).expect("a source file");
                let lines = text
                    .lines()
                    .filter(|line| !line.trim_start().starts_with("//"));
                let path = path.strip_prefix(base).expect("below the root");
                let path = path.to_str().expect("UTF-8").to_owned();
                found.push(Source {
                    path,
                    code: lines.collect::<Vec<_>>().join("\n"),
                });
            }
        }
    }
    found
}

/// Files outside `allowed` whose code contains one of `words`.
fn strangers(words: &[&str], allowed: &[&str]) -> Vec<String> {
    let is_allowed = |path: &str| allowed.iter().any(|prefix| path.starts_with(prefix));
    let sources = sources();
    let strangers = sources.iter().filter(|source| {
        !is_allowed(&source.path) && words.iter().any(|word| source.code.contains(word))
    });
    strangers.map(|source| source.path.clone()).collect()
}

#[test]
fn each_vendor_is_known_to_one_module_only() {
    for (words, allowed) in [
        (&["bollard::"][..], &["engine/"][..]),
        (&["axum::", "utoipa_axum::", "hyper::"], &["api/"]),
        (&["mio::"], &["events/src/"]),
        (&["wasmtime::"], &["plugin_host/"]),
        (&["rusqlite::"], &["store/"]),
        (&["env::var", "env::vars", "env::var_os"], &["config.rs"]),
    ] {
        assert_eq!(
            strangers(words, allowed),
            [""; 0],
            "{words:?} belongs to {allowed:?}"
        );
    }
}

#[test]
fn the_model_depends_on_nothing_of_ours() {
    let core = Path::new(env!("CARGO_MANIFEST_DIR"));
    let ours_in = |krate: &str| -> Vec<String> {
        let manifest = fs::read_to_string(core.join(krate).join("Cargo.toml")).expect("a manifest");
        let lines = manifest.lines();
        let ours = lines.filter(|line| line.starts_with("tiny-forge") && !line.contains("name"));
        ours.map(str::to_owned).collect()
    };
    assert_eq!(ours_in("model"), [""; 0]);
    assert_eq!(ours_in("proxy"), [""; 0]);
    assert_eq!(ours_in("events"), ["tiny-forge-model.workspace = true"]);
}

#[test]
fn the_layers_do_not_look_upwards() {
    let uses = |folder: &str, words: &[&str]| -> Vec<String> {
        let sources = sources();
        let inside = sources
            .iter()
            .filter(|source| source.path.starts_with(folder));
        let found = inside.filter(|source| words.iter().any(|word| source.code.contains(word)));
        found.map(|source| source.path.clone()).collect()
    };
    let nothing: [String; 0] = [];
    assert_eq!(
        uses("engine/", &["crate::events", "crate::store", "crate::api"]),
        nothing
    );
    assert_eq!(uses("deploys/", &["crate::api", "crate::cli"]), nothing);
    assert_eq!(
        uses(
            "plugin_host/",
            &["crate::api", "crate::deploys", "crate::engine"]
        ),
        nothing
    );
    assert_eq!(
        uses("instances/", &["crate::api", "crate::plugin_host"]),
        nothing
    );
    let app = strangers(&["crate::app"], &["app/mod.rs", "cli/serve.rs", "main.rs"]);
    assert_eq!(
        app, nothing,
        "nobody depends on the composition root but who starts it"
    );
}

#[test]
fn every_task_has_an_owner_and_every_queue_a_bound() {
    let words = [
        "tokio::spawn(",
        "unbounded_channel",
        "mpsc::unbounded",
        "Command::new(\"sh\")",
    ];
    assert_eq!(strangers(&words, &[]), [""; 0]);
}

#[test]
fn no_call_to_the_engine_is_awaited_without_a_time_limit() {
    let sources = sources();
    let engine = sources.iter().filter(|it| it.path.starts_with("engine/"));
    let mut calls = 0;
    for source in engine {
        let code: String = source.code.split_whitespace().collect();
        let clients = ["control()?.", "control.", "streams()?.", "streams."];
        let found = clients.iter().flat_map(|client| {
            let found = code.match_indices(client);
            found.map(|(at, client)| &code[at + client.len()..])
        });
        for call in found {
            let (call, after) = call.split_at(end_of_call(call));
            let is_awaited = after.starts_with(".await");
            assert!(!is_awaited, "{}: `{call}` waits", source.path);
            calls += 1;
        }
    }
    assert!(calls > 10, "calls are written as this test reads them");
}

/// Of `method(…)…`, where its parentheses end.
fn end_of_call(code: &str) -> usize {
    let mut depth = 0;
    for (at, character) in code.char_indices() {
        match character {
            '(' => depth += 1,
            ')' if depth == 1 => return at + 1,
            ')' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

//! Builds every plugin of this repository for real, into the target folder that
//! `make plugins` uses too.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tempfile::TempDir;
use tiny_forge_plugin_build::{BuildError, BuildRequest, Role, Std, build};
use wit_component::DecodedWasm;

use crate::repository;

const PLUGINS: [(&str, Role); 7] = [
    ("plugins/slack", Role::Sink),
    ("plugins/webhook", Role::Sink),
    ("plugins/rules", Role::Filter),
    ("plugins/image-info", Role::Enricher),
    ("examples/plugins/quiet-hours", Role::Filter),
    ("examples/plugins/team", Role::Enricher),
    ("examples/plugins/ntfy", Role::Sink),
];

/// Imports and exports of a component, by their full names.
fn interfaces(path: &Path) -> (BTreeSet<String>, BTreeSet<String>) {
    let bytes = fs::read(path).expect("written");
    let DecodedWasm::Component(resolve, world) = wit_component::decode(&bytes).expect("decodes")
    else {
        panic!("{} is no component", path.display());
    };
    let world = &resolve.worlds[world];
    (
        world
            .imports
            .keys()
            .map(|key| resolve.name_world_key(key))
            .collect(),
        world
            .exports
            .keys()
            .map(|key| resolve.name_world_key(key))
            .collect(),
    )
}

#[test]
fn each_plugin_is_one_component_with_its_role_and_without_wasi() {
    let out = TempDir::new().expect("temporary folder");
    for (folder, role) in PLUGINS {
        let request = BuildRequest::new(repository().join(folder), out.path());
        let built = build(&request).expect(folder);
        assert_eq!(built.role, role, "{folder}");
        assert_eq!(built.name, folder.rsplit('/').next().expect("a name"));
        assert_eq!(built.path, out.path().join(format!("{}.wasm", built.name)));

        let bytes = fs::read(&built.path).expect("written");
        let home = std::env::home_dir().expect("a home");
        let home = format!("{}/", home.display());
        let mut all = bytes.windows(home.len());
        let has_home = all.any(|some| some == home.as_bytes());
        assert!(
            !has_home,
            "{folder} names a path of the machine it was built on"
        );

        let (imports, exports) = interfaces(&built.path);
        for import in &imports {
            assert!(
                import.starts_with("tiny-forge:plugin/"),
                "{folder} imports {import}"
            );
        }
        let mut expected = BTreeSet::from([
            "tiny-forge:plugin/plugin@1.1.0".to_owned(),
            format!("tiny-forge:plugin/{role}-role@1.1.0"),
        ]);
        if role == Role::Filter {
            expected.insert("tiny-forge:plugin/packed-filter@1.1.0".to_owned());
        }
        assert_eq!(exports, expected, "{folder}");

        let again = build(&request).expect(folder);
        assert!(!again.changed, "{folder} came out other than before");
    }
}

/// A crate outside this workspace, with these contents.
fn new_crate(manifest: &str, source: &str) -> TempDir {
    let dir = TempDir::new().expect("temporary folder");
    let package = "[package]\nname = \"stray\"\nversion = \"0.0.1\"\nedition = \"2024\"\n";
    let manifest = format!("{package}{manifest}[workspace]\n");
    fs::create_dir(dir.path().join("src")).expect("made");
    fs::write(dir.path().join("Cargo.toml"), manifest).expect("written");
    fs::write(dir.path().join("src/lib.rs"), source).expect("written");
    dir
}

fn refusal(crate_dir: &Path) -> BuildError {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    build(&BuildRequest {
        target_dir: Some(target.to_owned()),
        std: Std::Auto,
        ..BuildRequest::new(crate_dir, crate_dir.join("out"))
    })
    .expect_err("refused")
}

#[test]
fn what_is_no_plugin_is_refused_with_the_remedy() {
    let nothing = TempDir::new().expect("temporary folder");
    assert!(matches!(refusal(nothing.path()), BuildError::NoCrate(_)));

    let ordinary = new_crate("", "");
    let error = refusal(ordinary.path()).to_string();
    assert!(error.contains("crate-type = [\"cdylib\"]"), "{error}");

    let silent = new_crate("[lib]\ncrate-type = [\"cdylib\"]\n", "");
    let error = refusal(silent.path()).to_string();
    assert!(error.contains("call one of `export_filter!`"), "{error}");

    let foreign = new_crate(
        "[lib]\ncrate-type = [\"cdylib\"]\n",
        "#[link(wasm_import_module = \"wasi_snapshot_preview1\")]\n\
         unsafe extern \"C\" { fn sched_yield() -> i32; }\n\
         #[unsafe(no_mangle)] pub extern \"C\" fn go() -> i32 { unsafe { sched_yield() } }",
    );
    let error = refusal(foreign.path()).to_string();
    assert!(
        error.contains("wasi_snapshot_preview1") && error.contains("no WASI"),
        "{error}"
    );

    let broken = new_crate("[lib]\ncrate-type = [\"cdylib\"]\n", "this is no Rust");
    assert!(matches!(refusal(broken.path()), BuildError::Compile(name) if name == "stray"));
}

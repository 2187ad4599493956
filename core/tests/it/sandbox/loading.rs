use tiny_forge::{
    model::PluginRole,
    plugin_host::{compile::CompileError, sandbox::LoadError},
};

use super::{
    guest::{Role, Source},
    lab::Lab,
};

async fn refusal(text: &str) -> LoadError {
    let component = wat::parse_str(text).expect("a component");
    let loaded = Lab::new().load(&component).await;
    loaded.err().expect("a refusal")
}

#[tokio::test]
async fn a_role_is_known_before_anything_runs() {
    let lab = Lab::new();
    for (role, known) in [
        (Role::Filter, PluginRole::Filter),
        (Role::Enricher, PluginRole::Enricher),
        (Role::Sink, PluginRole::Sink),
    ] {
        let trapping = Source::new(role).start("(unreachable)");
        assert_eq!(lab.module(&trapping).await.role(), known);
    }
}

#[tokio::test]
async fn wasi_is_refused_by_name() {
    let refused = refusal(
        r#"(component
            (import "wasi:cli/environment@0.2.0" (instance))
            (import "wasi:io/poll@0.2.0" (instance)))"#,
    )
    .await;
    let message = refused.to_string();
    assert!(
        message.contains("wasi:cli/environment@0.2.0, wasi:io/poll@0.2.0"),
        "{message}"
    );
    assert!(message.contains("wasm32-unknown-unknown"), "{message}");
}

#[tokio::test]
async fn an_unknown_import_is_refused_by_name() {
    let refused = refusal(r#"(component (import "acme:things/magic" (instance)))"#).await;
    let names = vec!["acme:things/magic".to_owned()];
    assert_eq!(refused, LoadError::UnknownImport { names });
    let refused =
        refusal(r#"(component (import "tiny-forge:plugin/mail@0.1.0" (instance)))"#).await;
    assert!(
        refused.to_string().contains("tiny-forge:plugin/mail@0.1.0"),
        "{refused}"
    );
}

#[tokio::test]
async fn an_import_of_another_shape_is_refused() {
    let refused = refusal(
        r#"(component
            (import "tiny-forge:plugin/clock@0.1.0"
                (instance (export "set-ms" (func (param "ms" u64)))))
            (instance $none)
            (export "tiny-forge:plugin/plugin@0.1.0" (instance $none))
            (export "tiny-forge:plugin/filter-role@0.1.0" (instance $none)))"#,
    )
    .await;
    let LoadError::Broken(message) = refused else {
        panic!("{refused}");
    };
    assert!(
        message.contains("set-ms") || message.contains("clock"),
        "{message}"
    );
}

#[tokio::test]
async fn one_role_each() {
    let none = refusal("(component)").await;
    assert_eq!(none, LoadError::NoRole);
    let two = refusal(
        r#"(component
            (instance $none)
            (export "tiny-forge:plugin/plugin@0.1.0" (instance $none))
            (export "tiny-forge:plugin/filter-role@0.1.0" (instance $none))
            (export "tiny-forge:plugin/sink-role@0.1.0" (instance $none)))"#,
    )
    .await;
    let roles = vec!["filter-role", "sink-role"];
    assert_eq!(two, LoadError::TwoRoles { roles });
    let empty = refusal(
        r#"(component
            (instance $none)
            (export "tiny-forge:plugin/plugin@0.1.0" (instance $none))
            (export "tiny-forge:plugin/filter-role@0.1.0" (instance $none)))"#,
    )
    .await;
    assert!(matches!(empty, LoadError::Broken(_)), "{empty}");
}

#[tokio::test]
async fn a_newer_contract_is_refused_with_both_versions() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let wit = concat!(env!("CARGO_MANIFEST_DIR"), "/../sdk/wit");
    for entry in std::fs::read_dir(wit).expect("the contract") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("WIT");
        let name = path.file_name().expect("a name");
        let newer = text.replace("@0.1.0", "@0.2.0");
        std::fs::write(dir.path().join(name), newer).expect("a newer contract");
    }
    let lab = Lab::new();
    let newer = Source::new(Role::Filter).wit(dir.path()).component();
    let refused = lab.load(&newer).await.err().expect("a refusal");
    let message = refused.to_string();
    assert!(
        message.contains("0.2.0") && message.contains("0.1.0"),
        "{message}"
    );
    assert!(matches!(refused, LoadError::NewerContract { .. }));
}

#[tokio::test]
async fn what_is_no_component_is_told_apart() {
    let lab = Lab::new();
    let module = Source::new(Role::Filter).core_module();
    let refused = lab.compile(&module).await.err();
    assert_eq!(refused, Some(CompileError::NotAComponent));
    for garbage in [&b"#!/bin/sh"[..], b"", b"\0asm"] {
        assert_eq!(
            lab.compile(garbage).await.err(),
            Some(CompileError::NotWasm)
        );
    }
    let mut cut = Source::new(Role::Filter).component();
    cut.truncate(cut.len() / 2);
    let refused = lab.compile(&cut).await.err();
    assert!(
        matches!(refused, Some(CompileError::Invalid(_))),
        "{refused:?}"
    );
    let refused = lab.compile(&vec![0; 65 << 20]).await.err();
    assert!(matches!(refused, Some(CompileError::TooLarge { .. })));
}

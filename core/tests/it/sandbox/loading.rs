use tiny_forge::{
    model::PluginRole,
    plugin_host::{compile::CompileError, sandbox::LoadError},
};

use super::{
    guest::{Role, Source, contract},
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
        refusal(r#"(component (import "tiny-forge:plugin/mail@1.0.0" (instance)))"#).await;
    assert!(
        refused.to_string().contains("tiny-forge:plugin/mail@1.0.0"),
        "{refused}"
    );
}

#[tokio::test]
async fn an_import_of_another_shape_is_refused() {
    let refused = refusal(
        r#"(component
            (import "tiny-forge:plugin/clock@1.0.0"
                (instance (export "now-ms" (func (param "ms" u64)))))
            (instance $none)
            (export "tiny-forge:plugin/plugin@1.0.0" (instance $none))
            (export "tiny-forge:plugin/filter-role@1.0.0" (instance $none)))"#,
    )
    .await;
    let LoadError::Misfit { reason, .. } = refused else {
        panic!("{refused}");
    };
    assert!(
        reason.contains("now-ms") && reason.contains("clock"),
        "{reason}"
    );
}

#[tokio::test]
async fn one_role_each() {
    let none = refusal("(component)").await;
    assert_eq!(none, LoadError::NoRole);
    let two = refusal(
        r#"(component
            (instance $none)
            (export "tiny-forge:plugin/plugin@1.0.0" (instance $none))
            (export "tiny-forge:plugin/filter-role@1.0.0" (instance $none))
            (export "tiny-forge:plugin/sink-role@1.0.0" (instance $none)))"#,
    )
    .await;
    let roles = vec!["filter-role", "sink-role"];
    assert_eq!(two, LoadError::TwoRoles { roles });
    let later = refusal(
        r#"(component
            (instance $none)
            (export "tiny-forge:plugin/plugin@1.2.0" (instance $none))
            (export "tiny-forge:plugin/guard-role@1.2.0" (instance $none)))"#,
    )
    .await;
    let wants = "1.2.0".to_owned();
    assert_eq!(later, LoadError::NewerContract { wants });
    let empty = refusal(
        r#"(component
            (instance $none)
            (export "tiny-forge:plugin/plugin@1.0.0" (instance $none))
            (export "tiny-forge:plugin/filter-role@1.0.0" (instance $none)))"#,
    )
    .await;
    assert!(matches!(empty, LoadError::Misfit { .. }), "{empty}");
    let packed_of_another_shape = refusal(
        r#"(component
            (instance $none)
            (export "tiny-forge:plugin/plugin@1.1.0" (instance $none))
            (export "tiny-forge:plugin/filter-role@1.1.0" (instance $none))
            (export "tiny-forge:plugin/packed-filter@1.1.0" (instance $none)))"#,
    )
    .await;
    assert!(
        matches!(packed_of_another_shape, LoadError::Misfit { .. }),
        "{packed_of_another_shape}"
    );
}

#[tokio::test]
async fn the_contract_is_known_before_anything_runs() {
    let lab = Lab::new();
    let built_for = |version: &str| {
        let dir = contract(version, "");
        Source::new(Role::Filter)
            .start("(unreachable)")
            .wit(dir.path())
            .component()
    };
    for version in ["0.1.0", "0.1.4", "1.0.0", "1.0.9", "1.7.0"] {
        let module = lab.load(&built_for(version)).await.expect("a plugin");
        assert_eq!(module.contract(), version);
    }
    for (version, is_newer) in [("0.0.9", false), ("0.2.0", false), ("2.0.0", true)] {
        let refused = lab.load(&built_for(version)).await.err();
        let wants = version.to_owned();
        let expected = match is_newer {
            true => LoadError::NewerContract { wants },
            false => LoadError::NoContract { wants },
        };
        assert_eq!(refused, Some(expected));
    }
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

#[tokio::test]
async fn an_export_of_another_shape_than_its_contract_says_is_told_apart() {
    let lab = Lab::new();
    // Its description is that of version 1, and it calls itself older.
    let dir = contract("0.1.0", "");
    let source = Source::new(Role::Filter).wit(dir.path());
    let fault = lab.start(&source).await.err().expect("a fault");
    assert_eq!(fault.kind().as_str(), "misfit", "{fault}");
    assert!(
        fault.to_string().contains("plugin contract 0.1.0"),
        "{fault}"
    );
}

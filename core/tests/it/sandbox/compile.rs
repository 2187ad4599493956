use std::{fs, path::PathBuf, time::Duration};

use tiny_forge::plugin_host::compile::CompileError;

use super::{
    guest::{Role, Source},
    hostile::compile_bomb,
    lab::{Lab, compiler},
};

fn cached(lab: &Lab) -> PathBuf {
    let folder = fs::read_dir(lab.dir.path().join("cache")).expect("a folder");
    let mut files: Vec<_> = folder
        .map(|entry| entry.expect("an entry").path())
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

#[tokio::test]
async fn tampered_code_is_compiled_again_and_never_run() {
    let lab = Lab::new();
    let source = Source::new(Role::Filter);
    lab.module(&source).await;
    let path = cached(&lab);
    let honest = fs::read(&path).expect("a file");
    let mut tampered = honest.clone();
    let middle = tampered.len() / 2;
    tampered[middle] ^= 0xff;
    fs::write(&path, &tampered).expect("tampered");
    lab.module(&source).await;
    let again = fs::read(&path).expect("a file");
    assert_ne!(again, tampered);
    assert_eq!(again.len(), honest.len());
}

#[tokio::test]
async fn what_is_cached_needs_no_compiler() {
    let lab = Lab::new();
    let source = Source::new(Role::Filter);
    lab.module(&source).await;
    // No time to compile anything: it can only come from the cache.
    let hurried = Lab {
        compiler: compiler(&lab.dir).with_timeout(Duration::ZERO),
        ..lab
    };
    hurried.module(&source).await;
    let other = Source::new(Role::Sink).component();
    let refused = hurried.compile(&other).await.err();
    assert!(
        matches!(refused, Some(CompileError::TooSlow { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_compile_bomb_is_ended() {
    let lab = Lab::new();
    let wasm = compile_bomb(60_000);
    let limit = Duration::from_millis(500);
    let hurried = Lab {
        compiler: compiler(&lab.dir).with_timeout(limit),
        ..lab
    };
    let refused = hurried.compile(&wasm).await.err();
    assert_eq!(refused, Some(CompileError::TooSlow { limit }));
}

#[tokio::test]
async fn a_compiler_that_is_not_there_is_named() {
    let lab = Lab::new();
    let keyring = tiny_forge::store::Keyring::open(lab.dir.path()).expect("a key");
    let compiler = tiny_forge::plugin_host::compile::Compiler::new(
        "/nonexistent/tiny-forge".into(),
        lab.dir.path().join("cache"),
        keyring.into(),
    );
    let wasm = Source::new(Role::Filter).component();
    let refused = compiler
        .compile(&wasm, "00")
        .await
        .err()
        .expect("a refusal");
    assert!(
        refused.to_string().contains("/nonexistent/tiny-forge"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_compiler_that_ends_without_a_verdict_is_told_by_its_exit_code_and_last_words() {
    let lab = Lab::new();
    let keyring = tiny_forge::store::Keyring::open(lab.dir.path()).expect("a key");
    let cache = lab.dir.path().join("cache");
    // Lists what is not there, and says so.
    let program = "/bin/ls".into();
    let compiler = tiny_forge::plugin_host::compile::Compiler::new(program, cache, keyring.into());
    let wasm = Source::new(Role::Filter).component();
    let refused = compiler.compile(&wasm, "00").await.err();
    let refused = refused.expect("a refusal").to_string();
    assert!(refused.contains("exit code 2"), "{refused}");
    assert!(refused.contains("cannot access"), "{refused}");
    assert!(!refused.contains("damaged"), "{refused}");
}

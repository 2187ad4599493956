use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tiny_forge::{
    plugin_host::compile::{CompileError, Compiler},
    store::Keyring,
};
use tokio::process::Command;

use super::{
    guest::{Role, Source},
    hostile::compile_bomb,
    lab::{Lab, compiler},
};
use crate::support::wait;

const PROGRAM: &str = env!("CARGO_BIN_EXE_tiny-forge");

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
    let keyring = Keyring::open(lab.dir.path()).expect("a key");
    let compiler = Compiler::new(
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
    let keyring = Keyring::open(lab.dir.path()).expect("a key");
    let cache = lab.dir.path().join("cache");
    // Lists what is not there, and says so.
    let program = "/bin/ls".into();
    let compiler = Compiler::new(program, cache, keyring.into());
    let wasm = Source::new(Role::Filter).component();
    let refused = compiler.compile(&wasm, "00").await.err();
    let refused = refused.expect("a refusal").to_string();
    assert!(refused.contains("exit code 2"), "{refused}");
    assert!(refused.contains("cannot access"), "{refused}");
    assert!(!refused.contains("damaged"), "{refused}");
}

/// Soft and hard limit of each kind, as the kernel shows them.
fn limits(process: u32) -> Vec<String> {
    let shown = fs::read_to_string(format!("/proc/{process}/limits")).expect("it runs");
    let lines = shown.lines().skip(1);
    let words = lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    words.collect()
}

/// Of each thread.
fn nice_values(process: u32) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).expect("it runs");
    let stat = threads.filter_map(|it| fs::read_to_string(it.ok()?.path().join("stat")).ok());
    // The 19th, where the name, in brackets, is the second.
    let nice = stat.filter_map(|stat| {
        let (_, rest) = stat.rsplit_once(") ")?;
        Some(rest.split(' ').nth(16)?.to_owned())
    });
    nice.collect()
}

#[tokio::test]
async fn a_compiler_has_little_memory_and_time_writes_no_core_and_comes_last() {
    // It limits itself before it reads what it is to compile.
    let child = Command::new(PROGRAM)
        .args(["plugin", "compile"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("the program");
    let id = child.id().expect("it waits");
    let expected = [
        "Max address space 2147483648 2147483648 bytes",
        "Max data size 2147483648 2147483648 bytes",
        "Max cpu time 300 300 seconds",
        "Max core file size 0 0 bytes",
    ];
    let mut last = (Vec::new(), Vec::new());
    let limited = wait::answer(async || {
        last = (limits(id), nice_values(id));
        let (limits, nice) = &last;
        let has = |line: &&str| limits.iter().any(|it| it == line);
        (expected.iter().all(has) && nice.iter().any(|it| it == "10")).then_some(())
    });
    limited.await.unwrap_or_else(|| panic!("{last:#?}"));
}

/// Our own program, which notes when it begins and when it ends.
fn noting(dir: &Path) -> (PathBuf, PathBuf) {
    let (path, notes) = (dir.join("noting"), dir.join("notes"));
    let script = format!(
        "#!/bin/sh\necho begin >> {0}\n{PROGRAM} \"$@\"\ncode=$?\necho end >> {0}\nexit $code\n",
        notes.display()
    );
    fs::write(&path, script).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("executable");
    (path, notes)
}

#[tokio::test]
async fn one_file_is_compiled_at_a_time() {
    let lab = Lab::new();
    let (program, notes) = noting(lab.dir.path());
    let keyring = Keyring::open(lab.dir.path()).expect("a key");
    let cache = lab.dir.path().join("cache");
    let lab = Lab {
        compiler: Compiler::new(program, cache, keyring.into()),
        ..lab
    };
    let (filter, sink) = (Source::new(Role::Filter), Source::new(Role::Sink));
    tokio::join!(lab.module(&filter), lab.module(&sink));
    let noted = fs::read_to_string(notes).expect("notes");
    assert_eq!(noted, "begin\nend\nbegin\nend\n");
    // What is in the cache is compiled no more.
    lab.module(&filter).await;
    assert_eq!(
        fs::read_to_string(lab.dir.path().join("notes")).expect("notes"),
        noted
    );
}

//! Builds the app of `tiny-forge demo` for this target. Linked statically it
//! needs nothing else in its image, so that the demo works offline.

#![allow(
    clippy::disallowed_methods,
    reason = "cargo talks to build scripts through the environment"
)]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

const SOURCE: &str = "../examples/demo/main.rs";
const OPTIONS: [&str; 6] = [
    "--edition=2024",
    "--crate-name=demo",
    "-Copt-level=s",
    "-Cpanic=abort",
    "-Cstrip=symbols",
    "-Ctarget-feature=+crt-static",
];

fn main() {
    println!("cargo::rerun-if-changed={SOURCE}");
    // A release embeds these, so it is made anew with them; else they are read
    // from disk.
    if given("PROFILE") == "release" {
        println!("cargo::rerun-if-changed=../web/build");
        println!("cargo::rerun-if-changed=../plugins/dist");
    }
    let app = PathBuf::from(given("OUT_DIR")).join("demo-app");
    if !build(&app) {
        println!(
            "cargo::warning=`tiny-forge demo` will not work in this build: linking statically \
             needs the C library as an archive (Debian: libc6-dev, Fedora: glibc-static)"
        );
        fs::write(&app, []).expect("OUT_DIR can be written to");
    }
}

fn build(app: &Path) -> bool {
    let mut rustc = Command::new(given("RUSTC"));
    rustc.args(OPTIONS).arg("--target").arg(given("TARGET"));
    rustc.arg("-o").arg(app).arg(SOURCE);
    rustc.status().is_ok_and(|status| status.success())
}

fn given(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}

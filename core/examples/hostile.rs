//! Writes the guests that mean harm, which the tests try, into a folder: for each
//! `NAME.wasm`, and `NAME.toml` with its plugin in a pipeline.

use std::{env, fs, path::PathBuf};

use anyhow::Context;

#[path = "../tests/it/sandbox/guest.rs"]
#[allow(dead_code, reason = "the tests use the rest of it")]
mod guest;
#[path = "../tests/it/sandbox/hostile.rs"]
#[allow(dead_code, reason = "the tests use the rest of it")]
mod hostile;

use hostile::{Hostile, compile_bomb};

fn main() -> anyhow::Result<()> {
    let folder = env::args().nth(1).map(PathBuf::from);
    let folder = folder.context("the folder to write to is missing")?;
    let bomb = Hostile {
        name: "compile-bomb",
        // More than the compiler may take by default, which is 2 GiB.
        wasm: compile_bomb(300_000),
        kind: "compile",
        at_start: true,
        limits: "",
        is_sink: false,
    };
    for guest in hostile::all().into_iter().chain([bomb]) {
        let file = |ending: &str| folder.join(format!("{}.{ending}", guest.name));
        fs::write(file("wasm"), &guest.wasm)?;
        fs::write(file("toml"), guest.toml("system"))?;
    }
    Ok(())
}

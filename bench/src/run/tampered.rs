//! A plugin whose machine code in the cache somebody has changed since it ran.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};

use super::neighbours::{Look, Neighbours};

pub const NAME: &str = "tampered-cache";

/// A plugin that means no harm, of a size that people write.
pub fn write(examples: &Path, folder: &Path) -> anyhow::Result<()> {
    let example = examples.join("quiet-hours.wasm");
    fs::copy(&example, folder.join(format!("{NAME}.wasm")))
        .with_context(|| format!("`{}`: run `make plugins`", example.display()))?;
    let toml = format!(
        "[plugin.{NAME}]\nfile = \"{NAME}.wasm\"\nconfig.from = \"22:00\"\n\
         config.to = \"06:00\"\n[pipeline.{NAME}]\nwhen.type = \"system\"\n\
         steps = [\"{NAME}\"]\nsinks = [\"late\"]\n"
    );
    Ok(fs::write(folder.join(format!("{NAME}.toml")), toml)?)
}

/// It has run before, so its code is in the cache.
pub fn beside(others: &Neighbours, guests: &Path) -> anyhow::Result<Look> {
    others.beside(guests, NAME)?;
    let tampered = tamper(&others.cache())?;
    let seen = others.beside(guests, NAME)?;
    // Those of plugins that ran all the while are in memory, and stay as they are.
    let is_written_again =
        |(path, code): &(PathBuf, Vec<u8>)| fs::read(path).is_ok_and(|now| now != *code);
    if !tampered.iter().any(is_written_again) {
        bail!("nothing was compiled again, though the cache was changed");
    }
    Ok(seen)
}

/// Each file as it is then.
fn tamper(cache: &Path) -> anyhow::Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut tampered = Vec::new();
    for entry in fs::read_dir(cache)? {
        let path = entry?.path();
        let mut code = fs::read(&path)?;
        let middle = code.len() / 2;
        code[middle] ^= 0xff;
        fs::write(&path, &code)?;
        tampered.push((path, code));
    }
    Ok(tampered)
}

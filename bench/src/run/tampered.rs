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
    let of_others = files(&others.cache())?;
    others.beside(guests, NAME)?;
    let mut code = files(&others.cache())?;
    code.retain(|path| !of_others.contains(path));
    let [code] = &code[..] else {
        bail!("one plugin has more in the cache: {code:?}");
    };
    let tampered = tamper(code)?;
    let seen = others.beside(guests, NAME)?;
    let now = fs::read(code)?;
    if now == tampered {
        bail!("it was not compiled again, though its code had been changed");
    }
    // As if it had never been here, for the next look.
    fs::remove_file(code)?;
    Ok(seen)
}

fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let files = fs::read_dir(folder)?;
    let paths = files.map(|file| Ok(file?.path()));
    paths.collect()
}

/// The file as it is then.
fn tamper(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut code = fs::read(path)?;
    let middle = code.len() / 2;
    code[middle] ^= 0xff;
    fs::write(path, &code)?;
    Ok(code)
}

//! The operator's key to what a plugin asks for: a line in the file that
//! configures it, written for them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use toml_edit::{Array, DocumentMut, Item, Table, TableLike, value};

use super::{
    HostError, PluginHost,
    config::{FileConfig, FileError},
    host::not_found,
};
use crate::model::{GrantedNow, Principal};

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum GrantFileError {
    #[error("no file in {folder} has [plugin.{plugin}]")]
    NotFound { folder: String, plugin: String },
    #[error("{file}: {what} is not as expected; add this by hand: {line}")]
    Shape {
        file: String,
        what: &'static str,
        line: String,
    },
    #[error("nothing would come of it: {0}. Mend that first")]
    NotTaken(FileError),
    #[error("{file} cannot be written: {reason}")]
    Unwritable { file: String, reason: io::Error },
}

impl PluginHost {
    /// Grants a plugin what it asks for, as far as that can be written down here: origins,
    /// and secrets of which the sealed store has one of that name. `seen`: the lines that
    /// whoever grants them has looked at.
    pub async fn grant(
        &self,
        _: &Principal,
        name: &str,
        seen: Option<&[String]>,
    ) -> Result<GrantedNow, HostError> {
        let missing = match self.live().plugins.get(name) {
            Some(plugin) => plugin.status.asks_for(),
            None => return Err(not_found("plugin", name)),
        };
        if seen.is_some_and(|seen| seen != missing.lines) {
            return Err(HostError::Conflict(format!(
                "plugin `{name}` asks for something else by now, nothing was granted: look at it again"
            )));
        }
        let (stored, others): (Vec<_>, Vec<_>) =
            missing.secrets.iter().partition(|secret| secret.is_stored);
        let granted = GrantedNow {
            http: missing.http,
            secrets: stored.iter().map(|secret| secret.name.clone()).collect(),
            left: others.iter().map(|secret| secret.line()).collect(),
        };
        if granted.http.is_empty() && granted.secrets.is_empty() {
            return Err(HostError::Conflict(nothing_to_grant(name, &granted.left)));
        }
        let (folder, plugin, wanted) = (self.folder().to_owned(), name.to_owned(), granted.clone());
        let write = move || write(&folder, &plugin, &wanted);
        // One at a time: each reads what the one before has written.
        let _turn = self.shared().grants.lock().await;
        let written = tokio::task::spawn_blocking(write).await;
        let file = written.map_err(|_| HostError::Busy(name.to_owned()))??;
        let GrantedNow { http, secrets, .. } = &granted;
        tracing::info!(plugin = name, file = %file.display(), ?http, ?secrets, "granted");
        Ok(granted)
    }
}

fn nothing_to_grant(name: &str, left: &[String]) -> String {
    match left {
        [] => format!("plugin `{name}` asks for nothing that it does not have"),
        lines => format!(
            "plugin `{name}` asks for secrets that are not in the sealed store: set them with \
             `tiny-forge secret set NAME` and grant them then, or add {}",
            lines.join(" and ")
        ),
    }
}

/// Adds to what `[plugin.NAME]` has, in the first file that configures it; all else in it
/// stays as it is. Says which file. Blocks.
fn write(folder: &Path, plugin: &str, granted: &GrantedNow) -> Result<PathBuf, GrantFileError> {
    for path in tomls(folder) {
        let Ok(text) = fs::read_to_string(&path) else {
            continue;
        };
        let Ok(mut document) = text.parse::<DocumentMut>() else {
            continue;
        };
        let Some(table) = plugin_table(&mut document, plugin) else {
            continue;
        };
        let shape = |what| GrantFileError::Shape {
            file: path.display().to_string(),
            what,
            line: by_hand(granted),
        };
        add(table, granted).map_err(shape)?;
        let text = document.to_string();
        FileConfig::parse(&file_name(&path), &text).map_err(GrantFileError::NotTaken)?;
        replace(&path, &text).map_err(|reason| GrantFileError::Unwritable {
            file: path.display().to_string(),
            reason,
        })?;
        return Ok(path);
    }
    Err(GrantFileError::NotFound {
        folder: folder.display().to_string(),
        plugin: plugin.to_owned(),
    })
}

/// In the order in which the server reads them.
fn tomls(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.ends_with(".toml") && !name.starts_with('.'))
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_ours).collect();
    paths.sort();
    paths
}

fn plugin_table<'d>(document: &'d mut DocumentMut, name: &str) -> Option<&'d mut dyn TableLike> {
    let plugins = document.get_mut("plugin")?.as_table_like_mut()?;
    plugins.get_mut(name)?.as_table_like_mut()
}

fn by_hand(granted: &GrantedNow) -> String {
    let http = (!granted.http.is_empty()).then(|| format!("grants.http = {:?}", granted.http));
    let secrets = granted.secrets.iter();
    let secrets = secrets.map(|name| format!("secrets.{name} = {:?}", from_store(name)));
    let lines: Vec<String> = http.into_iter().chain(secrets).collect();
    lines.join(" and ")
}

fn from_store(secret: &str) -> String {
    format!("store:{secret}")
}

/// The error names what is of another kind than it should be.
fn add(plugin: &mut dyn TableLike, granted: &GrantedNow) -> Result<(), &'static str> {
    if !granted.http.is_empty() {
        add_origins(plugin, &granted.http)?;
    }
    if !granted.secrets.is_empty() {
        add_secrets(plugin, &granted.secrets)?;
    }
    Ok(())
}

fn add_secrets(plugin: &mut dyn TableLike, names: &[String]) -> Result<(), &'static str> {
    let secrets = plugin.entry("secrets").or_insert_with(dotted_table);
    let secrets = secrets.as_table_like_mut().ok_or("secrets")?;
    for name in names {
        secrets
            .entry(name)
            .or_insert_with(|| value(from_store(name)));
    }
    Ok(())
}

fn add_origins(plugin: &mut dyn TableLike, origins: &[String]) -> Result<(), &'static str> {
    let grants = plugin.entry("grants").or_insert_with(dotted_table);
    let grants = grants.as_table_like_mut().ok_or("grants")?;
    let http = grants.entry("http").or_insert_with(|| value(Array::new()));
    let http = http.as_array_mut().ok_or("grants.http")?;
    for origin in origins {
        if !http.iter().any(|known| known.as_str() == Some(origin)) {
            http.push(origin);
        }
    }
    Ok(())
}

/// `grants.http = …` rather than a head of its own.
fn dotted_table() -> Item {
    let mut table = Table::new();
    table.set_dotted(true);
    Item::Table(table)
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// Whole, or not at all.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    // A link leads to the file that counts.
    let path = fs::canonicalize(path)?;
    let name = file_name(&path);
    let unfinished = path.with_file_name(format!(".{name}.new"));
    fs::write(&unfinished, text)?;
    fs::set_permissions(&unfinished, fs::metadata(&path)?.permissions())?;
    fs::File::open(&unfinished)?.sync_all()?;
    fs::rename(unfinished, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(text: &str) -> Result<String, GrantFileError> {
        let dir = tempfile::tempdir().expect("a folder");
        fs::write(
            dir.path().join("a.toml"),
            "[plugin.other]\nfile = \"x.wasm\"\n",
        )
        .expect("ok");
        fs::write(dir.path().join("b.toml"), text).expect("written");
        let granted = GrantedNow {
            http: ["https://a.example", "https://b.example"]
                .map(str::to_owned)
                .to_vec(),
            secrets: vec!["TOKEN".to_owned()],
            left: Vec::new(),
        };
        let path = write(dir.path(), "hook", &granted)?;
        Ok(fs::read_to_string(path).expect("read"))
    }

    #[test]
    fn a_grant_is_added_and_all_else_stays_as_it_is() {
        for (before, after) in [
            (
                "# Ours.\n[plugin.hook]\nfile = \"hook.wasm\" # pinned\n\n[pipeline.all]\nsinks = [\"hook\"]\n",
                "# Ours.\n[plugin.hook]\nfile = \"hook.wasm\" # pinned\n\
                 grants.http = [\"https://a.example\", \"https://b.example\"]\n\
                 secrets.TOKEN = \"store:TOKEN\"\n\n\
                 [pipeline.all]\nsinks = [\"hook\"]\n",
            ),
            (
                "[plugin.hook]\nfile = \"hook.wasm\"\ngrants.http = [\"https://a.example\"] # chat\n\
                 grants.networks = [\"10.0.0.0/8\"]\n",
                "[plugin.hook]\nfile = \"hook.wasm\"\ngrants.http = [\"https://a.example\", \"https://b.example\"] # chat\n\
                 grants.networks = [\"10.0.0.0/8\"]\n\
                 secrets.TOKEN = \"store:TOKEN\"\n",
            ),
            (
                "[plugin.hook]\nfile = \"hook.wasm\"\nsecrets = { KEY = \"env:KEY\" }\ngrants.http = []\n",
                "[plugin.hook]\nfile = \"hook.wasm\"\nsecrets = { KEY = \"env:KEY\" , TOKEN = \"store:TOKEN\" }\n\
                 grants.http = [\"https://a.example\", \"https://b.example\"]\n",
            ),
            (
                "[plugin.hook]\nfile = \"hook.wasm\"\n[plugin.hook.grants]\nnetworks = []\n",
                "[plugin.hook]\nfile = \"hook.wasm\"\nsecrets.TOKEN = \"store:TOKEN\"\n\
                 [plugin.hook.grants]\nnetworks = []\n\
                 http = [\"https://a.example\", \"https://b.example\"]\n",
            ),
        ] {
            assert_eq!(granted(before).expect("granted"), after);
        }
    }

    #[test]
    fn what_cannot_be_written_is_told_with_the_line_to_add() {
        let nobody = granted("[plugin.else]\n").expect_err("not there");
        assert!(nobody.to_string().contains("[plugin.hook]"), "{nobody}");
        let broken = "[plugin.hook]\nfile = \"hook.wasm\"\n[plugin.z]\nfil = 1\n";
        let broken = granted(broken).expect_err("not taken");
        let said = broken.to_string();
        assert!(
            said.starts_with("nothing would come of it: b.toml, line 6"),
            "{said}"
        );
        let odd = granted("[plugin.hook]\ngrants = 1\n").expect_err("odd");
        assert!(
            odd.to_string()
                .contains("\"https://b.example\"] and secrets.TOKEN = \"store:TOKEN\""),
            "{odd}"
        );
    }
}

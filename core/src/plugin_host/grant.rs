//! The operator's key to what a plugin asks for: a line in the file that
//! configures it, written for them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use toml_edit::{Array, DocumentMut, Item, Table, TableLike, value};

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
    #[error("{file} cannot be written: {reason}")]
    Unwritable { file: String, reason: io::Error },
}

/// Adds origins to what `[plugin.NAME]` is granted, in the first file that has
/// it; all else in it stays as it is. Says which file. Blocks.
pub fn write(folder: &Path, plugin: &str, origins: &[String]) -> Result<PathBuf, GrantFileError> {
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
            line: format!("grants.http = {origins:?}"),
        };
        add(table, origins).map_err(shape)?;
        replace(&path, &document.to_string()).map_err(|reason| GrantFileError::Unwritable {
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

/// The error names what is of another kind than it should be.
fn add(plugin: &mut dyn TableLike, origins: &[String]) -> Result<(), &'static str> {
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

/// Whole, or not at all.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    // A link leads to the file that counts.
    let path = fs::canonicalize(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
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
        let origins = [
            "https://a.example".to_owned(),
            "https://b.example".to_owned(),
        ];
        let path = write(dir.path(), "hook", &origins)?;
        Ok(fs::read_to_string(path).expect("read"))
    }

    #[test]
    fn a_grant_is_added_and_all_else_stays_as_it_is() {
        for (before, after) in [
            (
                "# Ours.\n[plugin.hook]\nfile = \"hook.wasm\" # pinned\n\n[pipeline.all]\nsinks = [\"hook\"]\n",
                "# Ours.\n[plugin.hook]\nfile = \"hook.wasm\" # pinned\n\
                 grants.http = [\"https://a.example\", \"https://b.example\"]\n\n\
                 [pipeline.all]\nsinks = [\"hook\"]\n",
            ),
            (
                "[plugin.hook]\ngrants.http = [\"https://a.example\"] # chat\n\
                 grants.networks = [\"10.0.0.0/8\"]\n",
                "[plugin.hook]\ngrants.http = [\"https://a.example\", \"https://b.example\"] # chat\n\
                 grants.networks = [\"10.0.0.0/8\"]\n",
            ),
            (
                "[plugin.hook.grants]\nnetworks = []\n",
                "[plugin.hook.grants]\nnetworks = []\n\
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
        let odd = granted("[plugin.hook]\ngrants = 1\n").expect_err("odd");
        assert!(
            odd.to_string()
                .contains("grants.http = [\"https://a.example\""),
            "{odd}"
        );
    }
}

//! The TOML files of the plugins folder → checked configuration.
//!
//! A file may hold several `[plugin.NAME]` and `[pipeline.NAME]`. Names are
//! unique over all files.

mod pipeline;
mod plugin;
mod raw;

use std::collections::BTreeMap;

pub use pipeline::PipelineConfig;
pub use plugin::{PluginConfig, SecretConfig, SecretSource, Source};

/// What one file configures.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FileConfig {
    pub plugins: BTreeMap<String, PluginConfig>,
    pub pipelines: BTreeMap<String, PipelineConfig>,
}

/// Why a file cannot be used: what, where, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {message}", line.map_or_else(String::new, |line| format!(", line {line}")))]
pub struct FileError {
    pub file: String,
    pub line: Option<usize>,
    pub message: String,
}

impl FileConfig {
    /// Reads the text of `file`; nothing of it is used when anything is wrong.
    pub fn parse(file: &str, text: &str) -> Result<Self, FileError> {
        let raw: raw::File = toml::from_str(text).map_err(|error| FileError {
            file: file.to_owned(),
            line: error.span().map(|span| line_of(text, span.start)),
            message: error.message().trim().to_owned(),
        })?;
        let mut config = Self::default();
        for (name, plugin) in raw.plugin {
            let at = |message| at_table(file, text, "plugin", &name, message);
            check_name("plugin", &name).map_err(at)?;
            let plugin = PluginConfig::from_raw(plugin).map_err(at)?;
            config.plugins.insert(name, plugin);
        }
        for (name, pipeline) in raw.pipeline {
            let at = |message| at_table(file, text, "pipeline", &name, message);
            check_name("pipeline", &name).map_err(at)?;
            let pipeline = PipelineConfig::from_raw(pipeline).map_err(at)?;
            config.pipelines.insert(name, pipeline);
        }
        Ok(config)
    }
}

fn check_name(kind: &str, name: &str) -> Result<(), String> {
    let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-' || c == b'_';
    let good = (1..=40).contains(&name.len()) && name.bytes().all(allowed);
    good.then_some(()).ok_or_else(|| {
        format!("{kind} name `{name}` is not valid: use 1 to 40 of a-z, 0-9, - and _")
    })
}

/// Points at the table's own line, which is near enough to find the key.
fn at_table(file: &str, text: &str, kind: &str, name: &str, message: String) -> FileError {
    let heads = [format!("[{kind}.{name}"), format!("[{kind}.\"{name}\"")];
    let is_head = |line: &str| heads.iter().any(|head| line.trim_start().starts_with(head));
    FileError {
        file: file.to_owned(),
        line: text.lines().position(is_head).map(|index| index + 1),
        message: format!("{kind}.{name}: {message}"),
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset.min(text.len())]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
        + 1
}

#[cfg(test)]
mod tests {
    use super::{FileConfig, SecretSource};

    fn refusal(text: &str) -> String {
        let parsed = FileConfig::parse("a.toml", text);
        parsed.expect_err("refused").to_string()
    }

    #[test]
    fn a_file_configures_plugins_and_pipelines() {
        let config = FileConfig::parse(
            "a.toml",
            r#"
            [plugin.slack]
            file = "builtin:slack"
            config.url = "https://hooks.slack.com/services/{secret:SLACK}"
            secrets.SLACK = "env:SLACK_PATH"
            secrets.MORE = { from = "store:slack-more", to = ["https://hooks.slack.com"] }
            grants.http = ["https://hooks.slack.com"]
            limits.cpu_ms = 200

            [pipeline.alerts]
            when = { type = "deploy_status", project = ["shop-*"], severity = "warning" }
            steps = ["rules", { plugin = "team", on_error = "drop" }]
            sinks = ["slack"]
            "#,
        )
        .expect("a good file");
        assert_eq!(config.plugins["slack"].grants.http.len(), 1);
        let more = &config.plugins["slack"].secrets["MORE"];
        let stored = "slack-more".parse().expect("a name");
        assert_eq!(more.source, SecretSource::Store(stored));
        assert_eq!(more.to.as_deref().map(<[_]>::len), Some(1));
        let alerts = &config.pipelines["alerts"];
        assert_eq!(alerts.steps.len(), 2);
        assert_eq!(alerts.when.types, ["deploy_status"]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_file_line_and_remedy() {
        let unknown = refusal("[plugin.x]\nfile = \"x.wasm\"\ncolour = 1\n");
        assert!(
            unknown.starts_with("a.toml, line 3: unknown field `colour`"),
            "{unknown}"
        );
        let path = refusal("\n[plugin.x]\nfile = \"../x.wasm\"\n");
        assert!(
            path.contains("line 2") && path.contains("in the plugins folder"),
            "{path}"
        );
        for wrong in [
            "\"hunter22\"",
            "\"store:hunter 22\"",
            "1234567890",
            "{ from = \"hunter22\", to = [] }",
            "{ value = \"hunter22\" }",
        ] {
            let secret = refusal(&format!(
                "[plugin.x]\nfile = \"x.wasm\"\nsecrets.A = {wrong}\n"
            ));
            let is_told = secret.contains("env:") || secret.contains("secret's name");
            let has_value = ["hunter", "1234567890"]
                .iter()
                .any(|it| secret.contains(it));
            assert!(is_told && !has_value, "{wrong}: {secret}");
        }
        let kind = refusal("[pipeline.x]\nwhen.type = \"deploy\"\nsinks = [\"a\"]\n");
        assert!(kind.contains("deploy_status"), "{kind}");
        let empty = refusal("[pipeline.x]\nwhen.type = \"audit\"\n");
        assert!(empty.contains("sinks"), "{empty}");
        let name = refusal("[plugin.\"A b\"]\nfile = \"x.wasm\"\n");
        assert!(name.contains("`A b` is not valid"), "{name}");
    }
}

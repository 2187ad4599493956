use std::{fmt, path::PathBuf};

use super::file::ConfigFile;

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("`{key}` from {source_name}: `{value}` is not valid, expected {expected}")]
    Wrong {
        key: &'static str,
        source_name: String,
        value: String,
        expected: String,
    },
    #[error("`{key}` is not set, expected {expected}")]
    Missing {
        key: &'static str,
        expected: &'static str,
    },
    #[error("configuration file `{path}`: {problem}")]
    File { path: PathBuf, problem: String },
}

impl ConfigError {
    pub(super) fn missing(key: &'static str, expected: &'static str) -> Self {
        Self::Missing { key, expected }
    }
}

/// Where values come from, in the order of who wins: flag, environment, file.
pub(super) struct Sources<'a> {
    pub(super) environment: &'a dyn Fn(&str) -> Option<String>,
    pub(super) file: Option<&'a ConfigFile>,
}

/// A value with the place it was set at.
pub(super) struct Key {
    name: &'static str,
    pub(super) text: String,
    place: Place,
}

enum Place {
    Flag(String),
    Variable(String),
    File { path: PathBuf, line: usize },
}

impl Sources<'_> {
    pub(super) fn find(&self, name: &'static str, flag: Option<String>) -> Option<Key> {
        let from_flag = flag.map(|text| Key {
            name,
            text,
            place: Place::Flag(format!("--{}", name.replace('_', "-"))),
        });
        from_flag
            .or_else(|| self.variable(name, &format!("TINY_FORGE_{}", name.to_uppercase())))
            .or_else(|| self.in_file(name))
    }

    pub(super) fn variable(&self, name: &'static str, variable: &str) -> Option<Key> {
        let text = (self.environment)(variable)?;
        Some(Key {
            name,
            text,
            place: Place::Variable(variable.to_owned()),
        })
    }

    fn in_file(&self, name: &'static str) -> Option<Key> {
        let file = self.file?;
        let (text, line) = file.value(name)?;
        Some(Key {
            name,
            text,
            place: Place::File {
                path: file.path.clone(),
                line,
            },
        })
    }
}

impl Key {
    pub(super) fn wrong(&self, expected: &str) -> ConfigError {
        ConfigError::Wrong {
            key: self.name,
            source_name: self.place.to_string(),
            value: self.text.clone(),
            expected: expected.to_owned(),
        }
    }

    /// A path; from a file, relative to the folder that file is in.
    pub(super) fn path(&self) -> Result<PathBuf, ConfigError> {
        if self.text.is_empty() {
            return Err(self.wrong("a path"));
        }
        match &self.place {
            Place::File { path, .. } => Ok(path
                .parent()
                .map_or_else(|| self.text.clone().into(), |dir| dir.join(&self.text))),
            Place::Flag(_) | Place::Variable(_) => Ok(self.text.clone().into()),
        }
    }

    pub(super) fn list(&self) -> Vec<String> {
        let names = self
            .text
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty());
        names.map(str::to_lowercase).collect()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "the flag {flag}"),
            Self::Variable(name) => write!(f, "the environment variable {name}"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
        }
    }
}

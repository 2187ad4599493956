//! Where an image's source is kept, and how its host calls a commit.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Forge {
    Github,
    Gitlab,
    /// Forgejo too.
    Gitea,
    Bitbucket,
    Sourcehut,
}

/// A repository: `shop` of `acme` at `github.com`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Source<'a> {
    host: &'a str,
    path: &'a str,
}

impl<'a> Source<'a> {
    /// `https://host/path`, also with `.git` or what follows `?` and `#`, and git's own
    /// `git@host:path` and `ssh://git@host/path`.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let text = text.split(['?', '#']).next()?;
        let text = text.strip_prefix("git+").unwrap_or(text);
        let (host, path) = match text.split_once("://") {
            Some(("https" | "http" | "ssh" | "git", rest)) => rest.split_once('/')?,
            Some(_) => return None,
            None => text.strip_prefix("git@")?.split_once(':')?,
        };
        // Without who logs in; a port of ssh is none of the page.
        let host = host.rsplit('@').next()?;
        let host = match text.starts_with("ssh://") {
            true => host.split(':').next()?,
            false => host,
        };
        let path = path.trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        let plain = |text: &str, others: &[u8]| {
            let mut bytes = text.bytes();
            !text.is_empty()
                && bytes.all(|byte| byte.is_ascii_alphanumeric() || others.contains(&byte))
        };
        let is_plain = plain(host, b"-.:") && plain(path, b"-._~/");
        is_plain.then_some(Self { host, path })
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}/{}", self.host, self.path)
    }

    /// The page of a commit, where it is known how its address is made.
    pub(crate) fn commit_url(
        &self,
        revision: &str,
        forges: &BTreeMap<String, Forge>,
    ) -> Option<String> {
        let forge = forges
            .get(self.host)
            .copied()
            .or_else(|| well_known(self.host))?;
        let page = match forge {
            Forge::Github | Forge::Gitea | Forge::Sourcehut => "commit",
            Forge::Gitlab => "-/commit",
            Forge::Bitbucket => "commits",
        };
        is_commit(revision).then(|| format!("{}/{page}/{revision}", self.url()))
    }
}

fn well_known(host: &str) -> Option<Forge> {
    Some(match host {
        "github.com" => Forge::Github,
        "gitlab.com" => Forge::Gitlab,
        "codeberg.org" | "gitea.com" => Forge::Gitea,
        "bitbucket.org" => Forge::Bitbucket,
        "git.sr.ht" => Forge::Sourcehut,
        _ => return None,
    })
}

/// The hash of a commit, whole or in its usual short form.
pub(crate) fn is_commit(revision: &str) -> bool {
    (7..=64).contains(&revision.len()) && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}

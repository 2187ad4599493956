use std::{collections::BTreeMap, time::Duration};

use bollard::{
    auth::DockerCredentials,
    body_full,
    query_parameters::{CreateImageOptionsBuilder, TagImageOptionsBuilder},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::time::Instant;

use super::{Engine, EngineError, image_labels};
use crate::model::ImageName;

/// Without any word from the engine for so long, a pull has stalled.
const PULL_STALL: Duration = Duration::from_secs(120);
const PULL_TOTAL: Duration = Duration::from_secs(3600);

/// Who asks a registry.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    pub registry: String,
    pub username: String,
    pub password: String,
    /// Instead of name and password.
    pub identity_token: Option<String>,
}

impl Login {
    fn into_credentials(self) -> DockerCredentials {
        DockerCredentials {
            username: Some(self.username),
            password: Some(self.password),
            identitytoken: self.identity_token,
            serveraddress: Some(self.registry),
            ..DockerCredentials::default()
        }
    }
}

/// An image on this engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// `sha256:…` of its configuration: what a container runs.
    pub id: String,
    /// `name@sha256:…`, as far as it came from a registry.
    pub digests: Vec<String>,
    /// What it says about itself: see [`image_labels`](super::image_labels()).
    pub labels: BTreeMap<String, String>,
}

/// What the engine said of one layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullUpdate {
    /// Empty where it speaks of the image as a whole.
    pub layer: String,
    pub status: String,
    pub current_bytes: Option<u64>,
    pub total_bytes: Option<u64>,
}

impl Image {
    /// `sha256:…`, as the repository of this name calls it. The same image may have come from
    /// others besides.
    pub fn digest_in(&self, name: &str) -> Option<String> {
        let wanted = ImageName::parse(name);
        let digests = self.digests.iter().map(|digest| ImageName::parse(digest));
        let mut found = digests.filter(|digest| digest.is_of_repository_of(&wanted));
        found.next()?.digest.map(str::to_owned)
    }
}

impl Engine {
    /// `None` when the image is not here.
    pub async fn image(&self, reference: &str) -> Result<Option<Image>, EngineError> {
        let what = format!("image `{reference}`");
        match self
            .call(&what, self.control()?.inspect_image(reference))
            .await
        {
            Ok(found) => Ok(Some(Image {
                id: found.id.unwrap_or_default(),
                digests: found.repo_digests.unwrap_or_default(),
                labels: image_labels::of_image(
                    found
                        .config
                        .and_then(|config| config.labels)
                        .unwrap_or_default(),
                ),
            })),
            Err(EngineError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Pulls, and tells `progress` what the engine says. Ends with an error
    /// when the engine falls silent, or after an hour.
    pub async fn pull(
        &self,
        reference: &str,
        auth: Option<Login>,
        mut progress: impl FnMut(PullUpdate),
    ) -> Result<(), EngineError> {
        let what = format!("image `{reference}`");
        let options = CreateImageOptionsBuilder::new()
            .from_image(reference)
            .build();
        let mut lines = std::pin::pin!(self.streams()?.create_image(
            Some(options),
            None,
            auth.map(Login::into_credentials),
        ));
        let deadline = Instant::now() + PULL_TOTAL;
        loop {
            let until = deadline.min(Instant::now() + PULL_STALL);
            let line = tokio::time::timeout_at(until, lines.next())
                .await
                .map_err(|_| EngineError::Timeout {
                    what: format!("pull of {what}"),
                    after: PULL_STALL,
                })?;
            let Some(line) = line else { return Ok(()) };
            let line = line.map_err(|error| self.error(&what, error))?;
            let detail = line.progress_detail.unwrap_or_default();
            let bytes = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok());
            progress(PullUpdate {
                layer: line.id.unwrap_or_default(),
                status: line.status.unwrap_or_default(),
                current_bytes: bytes(detail.current),
                total_bytes: bytes(detail.total),
            });
        }
    }

    /// Gives an image that is here a name besides.
    pub async fn tag(&self, reference: &str, name: &str) -> Result<(), EngineError> {
        let (repository, tag) = tagged(name);
        let options = TagImageOptionsBuilder::new()
            .repo(repository)
            .tag(tag)
            .build();
        let what = format!("image `{reference}`");
        let control = self.control()?;
        self.call(&what, control.tag_image(reference, Some(options)))
            .await
    }

    /// What the registry has under this name now: `sha256:…`.
    pub async fn resolve(
        &self,
        reference: &str,
        auth: Option<Login>,
    ) -> Result<Option<String>, EngineError> {
        let what = format!("image `{reference}`");
        let control = self.control()?;
        let auth = auth.map(Login::into_credentials);
        let found = control.inspect_registry_image(reference, auth);
        Ok(self.call(&what, found).await?.descriptor.digest)
    }

    /// Makes a local image of one layer out of a tar archive; `changes` are
    /// Dockerfile lines such as `CMD ["/app"]`.
    pub async fn import_image(
        &self,
        name: &str,
        tag: &str,
        archive: Vec<u8>,
        changes: Vec<String>,
    ) -> Result<(), EngineError> {
        let what = format!("image `{name}:{tag}`");
        let options = CreateImageOptionsBuilder::new()
            .from_src("-")
            .repo(name)
            .tag(tag)
            .changes(changes)
            .build();
        let body = body_full(Bytes::from(archive));
        let lines = self
            .streams()?
            .create_image(Some(options), Some(body), None);
        self.drain(&what, lines).await
    }

    async fn drain<T>(
        &self,
        what: &str,
        lines: impl Stream<Item = Result<T, bollard::errors::Error>>,
    ) -> Result<(), EngineError> {
        let mut lines = std::pin::pin!(lines);
        while let Some(line) = tokio::time::timeout(PULL_STALL, lines.next())
            .await
            .map_err(|_| EngineError::Timeout {
                what: what.to_owned(),
                after: PULL_STALL,
            })?
        {
            line.map_err(|error| self.error(what, error))?;
        }
        Ok(())
    }
}

/// Repository and tag of a name without a digest: `latest` where it names no tag.
pub fn tagged(name: &str) -> (&str, &str) {
    let tag = name.rsplit_once(':');
    tag.filter(|(_, tag)| !tag.contains('/'))
        .unwrap_or((name, "latest"))
}

/// Of a name with both, without the digest, which only says exactly which it was.
pub(super) fn readable(image: &str) -> &str {
    match image.split_once('@') {
        Some((name, _)) if tagged(name).0 != name => name,
        _ => image,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Image, readable, tagged};

    #[test]
    fn a_digest_is_that_of_the_repository_that_is_asked_for() {
        let image = Image {
            id: "sha256:00".to_owned(),
            digests: vec![
                "alpine@sha256:aa".to_owned(),
                "localhost:5000/web@sha256:bb".to_owned(),
            ],
            labels: BTreeMap::new(),
        };
        for (name, expected) in [
            ("docker.io/library/alpine:3", Some("sha256:aa")),
            ("localhost:5000/web", Some("sha256:bb")),
            ("shop:local", None),
        ] {
            assert_eq!(image.digest_in(name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn a_name_is_read_without_the_digest_that_pins_it() {
        for (image, expected) in [
            ("registry:5000/shop:1@sha256:00", "registry:5000/shop:1"),
            (
                "registry:5000/shop@sha256:00",
                "registry:5000/shop@sha256:00",
            ),
            ("shop:1", "shop:1"),
            ("sha256:00", "sha256:00"),
        ] {
            assert_eq!(readable(image), expected);
        }
    }

    #[test]
    fn a_tag_is_what_follows_the_last_colon_but_for_a_port() {
        assert_eq!(tagged("shop:1"), ("shop", "1"));
        assert_eq!(
            tagged("registry:5000/shop"),
            ("registry:5000/shop", "latest")
        );
    }
}

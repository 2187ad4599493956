//! Deploys in the words of [CDEvents](https://cdevents.dev) 0.5, which tools of
//! continuous delivery share, as the data of CloudEvents.

use packageurl::PackageUrl;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::CloudEvent;
use crate::model::{
    DOCKER_HUB, DeployId, DeployStatus, EventType, ImageName, ProjectName, StageName, Timestamp,
};

const SPEC_VERSION: &str = "0.5.1";
/// Of all events about a service, each of which has a version of its own.
const SERVICE_VERSION: &str = "0.3.0";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CdEvent<'e> {
    context: Context<'e>,
    subject: Subject,
    /// The payload, as in the plain form.
    custom_data: &'e RawValue,
    custom_data_content_type: &'static str,
}

#[derive(Serialize)]
struct Context<'e> {
    specversion: &'static str,
    id: &'e str,
    source: &'e str,
    #[serde(rename = "type")]
    kind: &'e str,
    timestamp: Timestamp,
}

/// A service: the project.
#[derive(Serialize)]
struct Subject {
    id: ProjectName,
    content: Content,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    environment: Environment,
    /// A package URL.
    artifact_id: String,
}

#[derive(Serialize)]
struct Environment {
    id: StageName,
}

/// The payload of `deploy_status`, as far as it has to be understood.
#[derive(Deserialize)]
struct Deploy {
    project: ProjectName,
    stage: StageName,
    status: DeployStatus,
    image: String,
    digest: Option<String>,
    rolls_back_to: Option<DeployId>,
    replaces: Option<DeployId>,
}

impl CloudEvent {
    /// `None` for all but deploys that have succeeded: a service has changed.
    pub fn into_cd_event(self) -> serde_json::Result<Option<Self>> {
        if !self.is_of(EventType::DeployStatus) {
            return Ok(None);
        }
        let deploy: Deploy = serde_json::from_str(self.data.get())?;
        let Some(predicate) = deploy.predicate() else {
            return Ok(None);
        };
        let kind = format!("dev.cdevents.service.{predicate}.{SERVICE_VERSION}");
        let artifact_id = (deploy.artifact()).unwrap_or_else(|_| deploy.image.clone());
        let data = to_raw_value(&CdEvent {
            context: Context {
                specversion: SPEC_VERSION,
                id: &self.id,
                source: &self.source,
                kind: &kind,
                timestamp: self.time,
            },
            subject: Subject {
                id: deploy.project.clone(),
                content: Content {
                    environment: Environment { id: deploy.stage },
                    artifact_id,
                },
            },
            custom_data: &self.data,
            custom_data_content_type: "application/json",
        })?;
        Ok(Some(Self {
            kind,
            subject: Some(deploy.project.to_string()),
            data,
            ..self
        }))
    }
}

impl Deploy {
    fn predicate(&self) -> Option<&'static str> {
        if self.status != DeployStatus::Succeeded {
            return None;
        }
        Some(match (self.rolls_back_to, self.replaces) {
            (Some(_), _) => "rolledback",
            (None, Some(_)) => "upgraded",
            (None, None) => "deployed",
        })
    }

    /// What runs, as a package URL: of what a registry has, with its digest.
    fn artifact(&self) -> packageurl::Result<String> {
        let image = ImageName::parse(&self.image);
        let purl = match self.digest.as_deref().or(image.digest) {
            Some(digest) => oci(image, digest)?,
            None => docker(image)?,
        };
        Ok(purl.to_string())
    }
}

fn oci<'n>(image: ImageName<'n>, digest: &'n str) -> packageurl::Result<PackageUrl<'n>> {
    let ImageName { registry, path, .. } = image;
    let is_official = registry == DOCKER_HUB && !path.contains('/');
    let library = if is_official { "library/" } else { "" };
    let mut purl = PackageUrl::new("oci", path.rsplit('/').next().unwrap_or(path))?;
    purl.with_version(digest)?;
    purl.add_qualifier("repository_url", format!("{registry}/{library}{path}"))?;
    if let Some(tag) = tag(image) {
        purl.add_qualifier("tag", tag)?;
    }
    Ok(purl)
}

fn docker(image: ImageName<'_>) -> packageurl::Result<PackageUrl<'_>> {
    let (namespace, name) = match image.path.rsplit_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, image.path),
    };
    let mut purl = PackageUrl::new("docker", name)?;
    if let Some(tag) = tag(image) {
        purl.with_version(tag)?;
    }
    if let Some(namespace) = namespace {
        purl.with_namespace(namespace)?;
    }
    if image.registry != DOCKER_HUB {
        purl.add_qualifier("repository_url", image.registry)?;
    }
    Ok(purl)
}

/// Without one, the name means `latest`, unless it says exactly which.
fn tag(image: ImageName<'_>) -> Option<&str> {
    image
        .tag
        .or_else(|| image.digest.is_none().then_some("latest"))
}

#[cfg(test)]
mod tests {
    use super::Deploy;
    use crate::model::{DeployId, DeployStatus, StageName};

    fn deploy(image: &str, digest: Option<&str>) -> Deploy {
        Deploy {
            project: "shop".parse().expect("a name"),
            stage: StageName::default(),
            status: DeployStatus::Succeeded,
            image: image.to_owned(),
            digest: digest.map(str::to_owned),
            rolls_back_to: None,
            replaces: None,
        }
    }

    #[test]
    fn an_artifact_is_named_by_its_digest_or_else_by_its_tag() {
        for (image, digest, expected) in [
            (
                "shop:3",
                Some("sha256:cd"),
                "pkg:oci/shop@sha256:cd?repository_url=docker.io%2Flibrary%2Fshop&tag=3",
            ),
            (
                "registry.example:5000/team/shop",
                Some("sha256:cd"),
                "pkg:oci/shop@sha256:cd?repository_url=registry.example:5000%2Fteam%2Fshop&tag=latest",
            ),
            (
                "acme/shop@sha256:cd",
                Some("sha256:cd"),
                "pkg:oci/shop@sha256:cd?repository_url=docker.io%2Facme%2Fshop",
            ),
            (
                "acme/shop@sha256:cd",
                None,
                "pkg:oci/shop@sha256:cd?repository_url=docker.io%2Facme%2Fshop",
            ),
            ("shop:3", None, "pkg:docker/shop@3"),
            (
                "localhost/team/shop:3",
                None,
                "pkg:docker/team/shop@3?repository_url=localhost",
            ),
        ] {
            let artifact = deploy(image, digest).artifact().expect("a package URL");
            assert_eq!(artifact, expected, "{image}");
        }
    }

    #[test]
    fn only_a_deploy_that_has_succeeded_has_changed_a_service() {
        let known = |status, rolls_back_to, replaces| {
            let deploy = Deploy {
                status,
                rolls_back_to,
                replaces,
                ..deploy("shop:3", None)
            };
            deploy.predicate()
        };
        for status in DeployStatus::ALL {
            let expected = (status == DeployStatus::Succeeded).then_some("deployed");
            assert_eq!(known(status, None, None), expected, "{status:?}");
        }
        let (succeeded, earlier) = (DeployStatus::Succeeded, Some(DeployId(3)));
        assert_eq!(known(succeeded, None, earlier), Some("upgraded"));
        assert_eq!(known(succeeded, earlier, earlier), Some("rolledback"));
    }
}

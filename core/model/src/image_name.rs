/// Where images are whose names begin with no registry.
pub const DOCKER_HUB: &str = "docker.io";

/// What names an image, in its parts: `registry/path:tag@digest`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageName<'n> {
    /// Docker Hub where the name begins with none.
    pub registry: &'n str,
    /// Without the `library/` that official images of Docker Hub may have.
    pub path: &'n str,
    pub tag: Option<&'n str>,
    /// `sha256:…`
    pub digest: Option<&'n str>,
}

impl<'n> ImageName<'n> {
    pub fn parse(reference: &'n str) -> Self {
        let (named, digest) = match reference.split_once('@') {
            Some((named, digest)) => (named, Some(digest)),
            None => (reference, None),
        };
        let tagged = named.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'));
        let (repository, tag) = match tagged {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (named, None),
        };
        let (registry, path) = match repository.split_once('/') {
            Some((first, path)) if is_registry(first) => (first, path),
            _ => (DOCKER_HUB, repository),
        };
        let official = path
            .strip_prefix("library/")
            .filter(|_| registry == DOCKER_HUB);
        Self {
            registry,
            path: official.unwrap_or(path),
            tag,
            digest,
        }
    }

    /// Whatever tag or digest they name.
    pub fn is_of_repository_of(&self, other: &Self) -> bool {
        (self.registry, self.path) == (other.registry, other.path)
    }
}

fn is_registry(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost"
}

#[cfg(test)]
mod tests {
    use super::ImageName;

    #[test]
    fn a_name_is_read_in_its_parts() {
        for (name, registry, path, tag, digest) in [
            ("shop", "docker.io", "shop", None, None),
            ("team/shop:1", "docker.io", "team/shop", Some("1"), None),
            ("library/shop:3", "docker.io", "shop", Some("3"), None),
            ("docker.io/library/shop", "docker.io", "shop", None, None),
            (
                "docker.iofoo:1",
                "docker.io",
                "docker.iofoo",
                Some("1"),
                None,
            ),
            (
                "registry:5000/team/shop",
                "registry:5000",
                "team/shop",
                None,
                None,
            ),
            (
                "localhost/library/shop:3@sha256:cd",
                "localhost",
                "library/shop",
                Some("3"),
                Some("sha256:cd"),
            ),
        ] {
            let expected = ImageName {
                registry,
                path,
                tag,
                digest,
            };
            assert_eq!(ImageName::parse(name), expected, "{name}");
        }
    }
}

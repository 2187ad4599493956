//! Who we are to a registry: what the project says, else the server's own Docker
//! configuration, as `docker login` has written it.

use std::{collections::HashMap, path::Path, process::Stdio, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use tokio::{io::AsyncWriteExt, process::Command};

use crate::{
    engine::Login,
    model::{DOCKER_HUB, ImageName, Spec},
};

/// Docker Hub, as Docker's configuration names it.
const HUB: &str = "https://index.docker.io/v1/";
const HELPER_TIMEOUT: Duration = Duration::from_secs(10);
/// In place of a name where the secret is an identity token.
const TOKEN_USER: &str = "<token>";

/// As far as it concerns registries.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DockerConfig {
    auths: HashMap<String, Entry>,
    creds_store: Option<String>,
    cred_helpers: HashMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    /// Base64 of `name:password`.
    auth: String,
    identitytoken: Option<String>,
}

/// What a credential helper answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Helped {
    username: String,
    secret: String,
}

/// None where nothing is known: then the registry is asked as anybody.
pub(super) async fn login(
    spec: &Spec,
    reference: &str,
    docker_config: Option<&Path>,
) -> Option<Login> {
    let registry = ImageName::parse(reference).registry;
    if let Some(auth) = &spec.registry_auth {
        return Some(Login {
            registry: registry.to_owned(),
            username: auth.username.clone(),
            password: auth.password.clone().unwrap_or_default(),
            identity_token: None,
        });
    }
    let path = docker_config?;
    match of_docker(path, registry).await {
        Ok(login) => login,
        // Most images need no login, and the registry says so where one does.
        Err(error) => {
            tracing::warn!(path = %path.display(), registry, error, "no login is taken from Docker's configuration");
            None
        }
    }
}

async fn of_docker(path: &Path, registry: &str) -> Result<Option<Login>, String> {
    let Ok(text) = tokio::fs::read_to_string(path).await else {
        return Ok(None);
    };
    let config: DockerConfig = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let key = if registry == DOCKER_HUB {
        HUB
    } else {
        registry
    };
    let helper = config.cred_helpers.get(key).or(config.creds_store.as_ref());
    if let Some(helper) = helper {
        return ask(helper, key).await;
    }
    let found = config
        .auths
        .iter()
        .find(|(name, _)| host(name) == host(key));
    found.map(|(_, entry)| entry.login(key)).transpose()
}

impl Entry {
    fn login(&self, registry: &str) -> Result<Login, String> {
        let wrong = || format!("`auths` has no readable `auth` for {registry}");
        let decoded = STANDARD.decode(&self.auth).map_err(|_| wrong())?;
        let decoded = String::from_utf8(decoded).map_err(|_| wrong())?;
        let (username, password) = decoded.split_once(':').unwrap_or((&decoded, ""));
        Ok(Login {
            registry: registry.to_owned(),
            username: username.to_owned(),
            password: password.trim_end_matches('\0').to_owned(),
            identity_token: self.identitytoken.clone().filter(|token| !token.is_empty()),
        })
    }
}

/// Asks `docker-credential-<helper>`.
async fn ask(helper: &str, registry: &str) -> Result<Option<Login>, String> {
    let program = format!("docker-credential-{helper}");
    let failed = |error: std::io::Error| format!("`{program}`: {error}");
    let mut child = Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(registry.as_bytes()).await.map_err(failed)?;
    }
    let output = tokio::time::timeout(HELPER_TIMEOUT, child.wait_with_output()).await;
    let output = output
        .map_err(|_| format!("`{program}` does not answer"))?
        .map_err(failed)?;
    // It ends with an error where it knows nothing.
    if !output.status.success() {
        return Ok(None);
    }
    let Helped { username, secret } = serde_json::from_slice(&output.stdout)
        .map_err(|_| format!("`{program}` answers with something else than JSON"))?;
    let is_token = username == TOKEN_USER;
    Ok(Some(Login {
        registry: registry.to_owned(),
        identity_token: is_token.then(|| secret.clone()),
        username: if is_token { String::new() } else { username },
        password: if is_token { String::new() } else { secret },
    }))
}

/// `https://registry.example/v1/` → `registry.example`.
fn host(key: &str) -> &str {
    let key = key.split_once("://").map_or(key, |(_, rest)| rest);
    key.split('/').next().unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::of_docker;

    #[tokio::test]
    async fn a_login_is_read_as_docker_writes_it() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("config.json");
        let text = r#"{"auths": {"registry.example": {"auth": "dXNlcjpwYXNzOndvcmQ="},
            "https://index.docker.io/v1/": {"auth": "aHViOnB3"}, "broken.example": {"auth": "*"}}}"#;
        fs::write(&path, text).expect("written");
        let login = async |registry| of_docker(&path, registry).await;
        let found = login("registry.example")
            .await
            .expect("readable")
            .expect("known");
        assert_eq!((&*found.username, &*found.password), ("user", "pass:word"));
        let found = login("docker.io").await.expect("readable").expect("known");
        assert_eq!(found.username, "hub");
        assert!(login("other.example").await.expect("readable").is_none());
        assert!(login("broken.example").await.is_err());
        fs::write(&path, "{").expect("written");
        assert!(login("registry.example").await.is_err());
    }
}

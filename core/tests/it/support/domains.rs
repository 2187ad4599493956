use std::{
    path::{Path, PathBuf},
    process::Command,
};

use reqwest::{Certificate, Client};
use tiny_forge::config::ServeArgs;

use super::{binary::Binary, registry::free_port};

/// Where a server of a test serves domains, with certificates of its own Caddy.
pub struct Domains {
    pub http: u16,
    pub https: u16,
}

impl Domains {
    pub fn on_free_ports() -> Self {
        Self {
            http: free_port(),
            https: free_port(),
        }
    }

    pub fn configure(&self, args: &mut ServeArgs) {
        args.http_port = Some(self.http.to_string());
        args.https_port = Some(self.https.to_string());
        args.certificates = Some("internal".to_owned());
    }

    pub fn binary(&self) -> Binary {
        Binary::new()
            .with("TINY_FORGE_HTTP_PORT", &self.http.to_string())
            .with("TINY_FORGE_HTTPS_PORT", &self.https.to_string())
            .with("TINY_FORGE_CERTIFICATES", "internal")
    }

    /// Of all its certificates.
    pub fn root(data: &Path) -> PathBuf {
        data.join("caddy/storage/pki/authorities/local/root.crt")
    }

    /// Ends the Caddy of a server without a farewell.
    pub fn kill_caddy(data: &Path) {
        let told = data.join("caddy/config.json");
        let killed = Command::new("pkill")
            .args(["-KILL", "-f"])
            .arg(told)
            .status();
        assert!(killed.expect("pkill").success());
    }

    /// What is said under a name to somebody who trusts its root; none if nobody answers.
    pub async fn said(&self, name: &str, data: &Path) -> Option<String> {
        let root = std::fs::read(Self::root(data)).ok()?;
        let root = Certificate::from_pem(&root).expect("a certificate");
        let here = ([127, 0, 0, 1], self.https).into();
        let client = Client::builder()
            .add_root_certificate(root)
            .resolve(name, here)
            .no_proxy()
            .build()
            .expect("a client");
        let url = format!("https://{name}:{}/", self.https);
        let said = async {
            let answer = client.get(url).send().await?.error_for_status()?;
            answer.text().await
        };
        match said.await {
            Ok(text) => Some(text.trim().to_owned()),
            Err(error) => {
                // A test that counts on an answer shows why there is none.
                eprintln!("{name}: {error:?}");
                None
            }
        }
    }
}

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore, client::Resumption, crypto::ring, version::TLS12, version::TLS13,
};
use rustls_native_certs::load_native_certs;
use tokio::sync::OnceCell;

/// Which servers are who they say they are: the machine's own root certificates,
/// read once for all plugins, when the first of them sends a request. Cheap to
/// clone.
#[derive(Clone, Default)]
pub struct Trust(Arc<OnceCell<ClientConfig>>);

impl Trust {
    /// TLS as reqwest would set it up. Sessions are the caller's alone, as its
    /// connections are.
    pub(super) async fn tls(&self) -> Result<ClientConfig, String> {
        let shared = self.0.get_or_try_init(|| async {
            let reading = tokio::task::spawn_blocking(roots).await;
            let roots = reading.map_err(|error| format!("root certificates: {error}"))?;
            with_roots(roots).map_err(|error| error.to_string())
        });
        let mut config = shared.await?.clone();
        config.resumption = Resumption::default();
        Ok(config)
    }
}

/// Some of a machine's certificates may be older than what is understood today.
fn roots() -> RootCertStore {
    let found = load_native_certs();
    let mut roots = RootCertStore::empty();
    let (_, ignored) = roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        tracing::warn!(
            ignored,
            errors = ?found.errors,
            "this machine has no root certificates, so plugins can trust no HTTPS server: install \
             `ca-certificates`, or name a file with SSL_CERT_FILE"
        );
    }
    roots
}

fn with_roots(roots: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

use std::{io, net::SocketAddr, path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::browser::Browser;

/// Where clients come in.
#[derive(Clone)]
pub struct Door {
    address: SocketAddr,
    /// For whom they ask, and whom they trust.
    secure: Option<(String, TlsConnector)>,
}

impl Door {
    pub fn port(port: u16) -> Self {
        Self {
            address: ([127, 0, 0, 1], port).into(),
            secure: None,
        }
    }

    /// `root`: of whom gives its certificate, in PEM.
    pub fn domain(name: &str, port: u16, root: &Path) -> Self {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_file(root).expect("a certificate");
        roots.add(root).expect("a root");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("TLS versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(config));
        Self {
            secure: Some((name.to_owned(), connector)),
            ..Self::port(port)
        }
    }

    pub async fn connect(&self) -> io::Result<Browser> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let Some((name, connector)) = &self.secure else {
            return Ok(Browser::over(stream, "app"));
        };
        let server = ServerName::try_from(name.clone()).expect("a name");
        let stream = connector.connect(server, stream).await?;
        Ok(Browser::over(stream, name))
    }
}

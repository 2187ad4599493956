use std::{net::SocketAddr, time::Duration};

use url::Url;

const LOOKUP_TIMEOUT: Duration = Duration::from_secs(2);

/// Where an engine listens: none for a socket in the file system, which no address
/// leads to.
pub async fn addresses(endpoint: &str) -> Vec<SocketAddr> {
    let Some((host, port)) = host_and_port(endpoint) else {
        return Vec::new();
    };
    let looked_up = tokio::net::lookup_host((host.as_str(), port));
    match tokio::time::timeout(LOOKUP_TIMEOUT, looked_up).await {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(_)) | Err(_) => {
            tracing::warn!(
                host,
                "the engine's name has no address now, so plugins are not kept from it: \
                 give its address in `engine`, or grant no plugin this name"
            );
            Vec::new()
        }
    }
}

fn host_and_port(endpoint: &str) -> Option<(String, u16)> {
    let (scheme, rest) = endpoint.split_once("://")?;
    if scheme == "unix" {
        return None;
    }
    let url = Url::parse(&format!("http://{rest}")).ok()?;
    let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
    Some((host, url.port_or_known_default()?))
}

#[cfg(test)]
mod tests {
    use super::addresses;

    #[tokio::test]
    async fn an_engine_over_tcp_has_an_address_and_a_socket_has_none() {
        let v4 = addresses("tcp://127.0.0.1:2375").await;
        assert_eq!(v4, ["127.0.0.1:2375".parse().expect("an address")]);
        let v6 = addresses("http://[::1]:2375").await;
        assert_eq!(v6, ["[::1]:2375".parse().expect("an address")]);
        assert_eq!(addresses("unix:///var/run/docker.sock").await, []);
    }
}

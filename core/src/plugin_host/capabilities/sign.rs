//! `sign`: signatures with a secret that the plugin never sees.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::{Secrets, secrets::SecretRefused};
use crate::plugin_host::sandbox::{HostState, v1};

/// How Standard Webhooks marks a secret whose bytes are base64.
const ENCODED: &str = "whsec_";

impl v1::sign::Host for HostState {
    async fn hmac_sha256(
        &mut self,
        secret: String,
        data: Vec<u8>,
    ) -> wasmtime::Result<Result<Vec<u8>, String>> {
        self.count_host_call()?;
        if let Err(SecretRefused::NotGranted(line)) = self.setup.secrets.value(&secret) {
            self.tell_denied(&format!("a signature was denied: {line}"));
        }
        Ok(hmac_sha256(&self.setup.secrets, &secret, &data))
    }
}

fn hmac_sha256(secrets: &Secrets, name: &str, data: &[u8]) -> Result<Vec<u8>, String> {
    let value = secrets.value(name);
    let value = value.map_err(|refused| format!("secret `{name}`: {refused}"))?;
    let key = match value.strip_prefix(ENCODED) {
        Some(encoded) => STANDARD.decode(encoded).map_err(|_| {
            format!("secret `{name}` begins with `{ENCODED}`, but no base64 follows")
        })?,
        None => value.as_bytes().to_vec(),
    };
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&key)
        .map_err(|error| format!("secret `{name}` is no key: {error}"))?;
    mac.update(data);
    Ok(mac.finalize().into_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::{super::SecretValue, Secrets, hmac_sha256};

    #[test]
    fn a_secret_of_standard_webhooks_is_decoded_first() {
        let secrets = [
            ("HOOK", "whsec_a2V5"),
            ("PLAIN", "key"),
            ("BROKEN", "whsec_!"),
        ];
        let secrets = secrets.map(|(name, value)| {
            let value = SecretValue {
                value: value.to_owned(),
                to: None,
            };
            (name.to_owned(), value)
        });
        let secrets = Secrets::new(secrets).expect("unbound");
        let text = b"The quick brown fox jumps over the lazy dog";
        let expected = "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8";
        for name in ["HOOK", "PLAIN"] {
            let mac = hmac_sha256(&secrets, name, text).expect("signed");
            assert_eq!(hex::encode(mac), expected);
        }
        let broken = hmac_sha256(&secrets, "BROKEN", text).expect_err("no base64");
        assert!(broken.contains("`BROKEN`"), "{broken}");
        let unknown = hmac_sha256(&secrets, "OTHER", text).expect_err("not set");
        assert!(unknown.contains("`OTHER`"), "{unknown}");
    }
}

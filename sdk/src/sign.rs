//! Signatures with a secret that the plugin never sees.

use crate::{HostError, host};

/// HMAC-SHA256 (32 bytes) with a secret that the operator gave under that name. A
/// secret of the form `whsec_<base64>` is decoded first.
///
/// # Errors
/// Where there is no such secret, or it is no base64 after `whsec_`.
pub fn hmac_sha256(secret: &str, data: &[u8]) -> Result<Vec<u8>, HostError> {
    host::hmac_sha256(secret, data).map_err(HostError)
}

use std::{
    fs::File,
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use chacha20poly1305::{
    Key, KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::DataDir;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
const PREFIX: &str = "sealed:v1:";

#[derive(Debug, thiserror::Error)]
#[error(
    "a sealed value cannot be opened: the file `key` in the data directory is not the one it was sealed with"
)]
pub struct SealError;

/// Seals secrets at rest and makes keyed digests. One random key per data
/// directory, in the file `key` (mode 0600).
#[derive(Clone)]
pub struct Keyring {
    key: [u8; KEY_BYTES],
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keyring(…)")
    }
}

impl Keyring {
    /// Reads the key, or makes one where there is none yet.
    pub fn open(data_dir: &Path) -> io::Result<Self> {
        let path = DataDir::key_in(data_dir);
        match Self::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::create(&path),
            read_or_not => read_or_not,
        }
    }

    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let mut key = [0; KEY_BYTES];
        File::open(path)?.read_exact(&mut key)?;
        Ok(Self { key })
    }

    /// Tells keys apart; says nothing of the key itself.
    pub fn id(&self) -> String {
        hex::encode(&self.mac("key-id", b"")[..8])
    }

    /// Seals `value` for one `purpose`, e.g. `env:shop/prod`: opened only with
    /// the same purpose, so that a value cannot be moved elsewhere.
    pub fn seal(&self, purpose: &str, value: &str) -> String {
        let mut sealed = vec![0; NONCE_BYTES];
        getrandom::fill(&mut sealed).expect("the operating system gives random bytes");
        let payload = Payload {
            msg: value.as_bytes(),
            aad: purpose.as_bytes(),
        };
        let text = self
            .cipher()
            .encrypt(XNonce::from_slice(&sealed), payload)
            .expect("encryption in memory does not fail");
        sealed.extend(text);
        format!("{PREFIX}{}", BASE64.encode(sealed))
    }

    pub fn open_sealed(&self, purpose: &str, sealed: &str) -> Result<String, SealError> {
        let encoded = sealed.strip_prefix(PREFIX).ok_or(SealError)?;
        let bytes = BASE64.decode(encoded).map_err(|_| SealError)?;
        let (nonce, text) = bytes.split_at_checked(NONCE_BYTES).ok_or(SealError)?;
        let payload = Payload {
            msg: text,
            aad: purpose.as_bytes(),
        };
        let value = self
            .cipher()
            .decrypt(XNonce::from_slice(nonce), payload)
            .map_err(|_| SealError)?;
        String::from_utf8(value).map_err(|_| SealError)
    }

    /// A keyed digest of `bytes`, separate for each `purpose`.
    pub fn mac(&self, purpose: &str, bytes: &[u8]) -> [u8; 32] {
        let mut mac = self.hmac(purpose);
        mac.update(bytes);
        mac.finalize().into_bytes().into()
    }

    /// Compares in constant time.
    pub fn verify(&self, purpose: &str, bytes: &[u8], mac: &[u8]) -> bool {
        let mut own = self.hmac(purpose);
        own.update(bytes);
        own.verify_slice(mac).is_ok()
    }

    /// A new one, on disk when this returns.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let mut key = [0; KEY_BYTES];
        getrandom::fill(&mut key).map_err(|error| io::Error::other(error.to_string()))?;
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(&key)?;
        file.sync_all()?;
        Ok(Self { key })
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(Key::from_slice(&self.mac("seal", b"")))
    }

    fn hmac(&self, purpose: &str) -> Hmac<Sha256> {
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&self.key)
            .expect("HMAC takes a key of any length");
        mac.update(purpose.as_bytes());
        mac.update(&[0]);
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::Keyring;

    #[test]
    fn a_sealed_value_opens_only_with_its_key_and_purpose() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let keyring = Keyring::open(dir.path()).expect("new key");
        let sealed = keyring.seal("env:shop/prod", "correct horse");
        assert!(!sealed.contains("correct"));
        let again = Keyring::open(dir.path()).expect("stored key");
        assert_eq!(
            again.open_sealed("env:shop/prod", &sealed).ok().as_deref(),
            Some("correct horse")
        );
        assert!(again.open_sealed("env:shop/dev", &sealed).is_err());
        let other = tempfile::tempdir().expect("temporary directory");
        let stranger = Keyring::open(other.path()).expect("other key");
        assert!(stranger.open_sealed("env:shop/prod", &sealed).is_err());
    }
}

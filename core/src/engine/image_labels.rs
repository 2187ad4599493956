//! What an image says about itself, as far as events carry it.

use std::collections::{BTreeMap, HashMap};

use url::Url;

/// Before the names of the labels that the OCI image specification has.
const PREFIX: &str = "org.opencontainers.image.";

/// Which of them, by what stands behind the prefix.
const NAMES: [&str; 6] = ["created", "revision", "source", "title", "url", "version"];

/// A longer value is no address, version or name; what is cut is none either.
const VALUE_BYTES_MAX: usize = 256;

pub(super) fn of_image(labels: HashMap<String, String>) -> BTreeMap<String, String> {
    image_labels(&labels.into_iter().collect())
}

/// The OCI labels among these, without their prefix. A container has those of its image.
pub fn image_labels(labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let known = |name: &str| {
        let value = labels.get(&format!("{PREFIX}{name}"))?.trim();
        let value = without_credentials(value);
        let fits = !value.is_empty() && value.len() <= VALUE_BYTES_MAX;
        fits.then(|| (name.to_owned(), value))
    };
    NAMES.into_iter().filter_map(known).collect()
}

/// Builds tend to label an image with the address that they cloned from, token included.
pub(super) fn without_credentials(value: &str) -> String {
    let Ok(mut url) = Url::parse(value) else {
        return value.to_owned();
    };
    let has_some = !url.username().is_empty() || url.password().is_some();
    if has_some && url.set_username("").is_ok() && url.set_password(None).is_ok() {
        return url.into();
    }
    value.to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{VALUE_BYTES_MAX, image_labels};

    #[test]
    fn events_carry_the_known_labels_of_an_image_without_tokens() {
        let long = "1".repeat(VALUE_BYTES_MAX + 1);
        let labels = [
            ("org.opencontainers.image.version", " 1.4.2 "),
            ("org.opencontainers.image.title", ""),
            ("org.opencontainers.image.revision", long.as_str()),
            ("org.opencontainers.image.description", "a shop"),
            (
                "org.opencontainers.image.source",
                "https://bot:t0ken@git.example/shop.git",
            ),
            ("org.opencontainers.image.url", "git@git.example:shop.git"),
            ("com.example.token", "t0ken"),
        ];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let expected = [
            ("source", "https://git.example/shop.git"),
            ("url", "git@git.example:shop.git"),
            ("version", "1.4.2"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(
            image_labels(&BTreeMap::from(labels)),
            BTreeMap::from(expected)
        );
    }
}

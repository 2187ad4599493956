/// A text with `*` for any number of characters, none included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob {
    /// What stands between the stars; at least one part.
    parts: Vec<String>,
}

impl Glob {
    pub(crate) fn new(pattern: &str) -> Self {
        Self {
            parts: pattern.split('*').map(str::to_owned).collect(),
        }
    }

    /// Each part is looked for once, where the one before it ended: the earliest
    /// place leaves the most to the rest, so there is no going back.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let [first, middle @ .., last] = self.parts.as_slice() else {
            return self.parts.iter().all(|only| only == text);
        };
        let Some(mut rest) = text.strip_prefix(first.as_str()) else {
            return false;
        };
        for part in middle {
            let Some(at) = rest.find(part.as_str()) else {
                return false;
            };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Glob;

    #[test]
    fn stars_stand_for_any_text_and_all_else_for_itself() {
        let matches = |pattern: &str, text| Glob::new(pattern).matches(text);
        for (pattern, text) in [
            ("shop", "shop"),
            ("*", ""),
            ("shop-*", "shop-"),
            ("*-prod", "shop-prod"),
            ("a*b*c", "a-b-b-c"),
            ("*é*", "café au lait"),
            ("", ""),
        ] {
            assert!(matches(pattern, text), "{pattern} should match {text}");
        }
        for (pattern, text) in [
            ("shop", "shops"),
            ("shop-*", "my-shop-1"),
            ("*-prod", "shop-prod-2"),
            ("a*a", "a"),
            ("a*b*c", "a-c-b"),
            ("", "x"),
        ] {
            assert!(!matches(pattern, text), "{pattern} should not match {text}");
        }
    }

    #[test]
    fn many_stars_take_no_longer_than_the_text() {
        let glob = Glob::new(&"a*".repeat(2_000));
        let text = "a".repeat(1_999) + &"b".repeat(60_000);
        assert!(!glob.matches(&text));
    }
}

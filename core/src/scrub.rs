//! Takes secrets out of text that leaves the place they belong to.

mod needle;
mod spelling;

use std::{collections::BTreeSet, sync::Arc};

use needle::Needle;
pub use needle::SECRET_BYTES_MIN;

const MARK: &str = "(secret)";

/// Replaces known secrets: verbatim, as base64 (also in the middle of longer
/// base64), and where some or all of their characters are escaped as in URLs,
/// JSON or HTML. Cheap to clone.
#[derive(Clone, Default)]
pub struct Scrubber {
    needles: Arc<[Needle]>,
}

impl Scrubber {
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let forms: BTreeSet<String> = secrets.into_iter().flat_map(needle::forms).collect();
        Self {
            needles: forms.iter().map(|form| Needle::new(form)).collect(),
        }
    }

    pub fn scrub(&self, text: String) -> String {
        match self.scrub_bytes(text.as_bytes()) {
            Some(scrubbed) => String::from_utf8_lossy(&scrubbed).into_owned(),
            None => text,
        }
    }

    /// The beginning of a text, `most` bytes of it: what is far behind is not looked at,
    /// however long a text somebody makes.
    pub fn scrub_beginning(&self, mut text: String, most: usize) -> String {
        let looked_at = text.floor_char_boundary(4 * most);
        let is_cut = looked_at < text.len();
        text.truncate(looked_at);
        let scrubbed = match is_cut {
            true => self.scrub_cut(text.as_bytes()),
            false => self.scrub_bytes(text.as_bytes()),
        };
        if let Some(scrubbed) = scrubbed {
            text = String::from_utf8_lossy(&scrubbed).into_owned();
        }
        if is_cut || text.len() > most {
            text.truncate(text.floor_char_boundary(most));
            text.push('…');
        }
        text
    }

    /// `None` where there is nothing to take out. The text may be of any kind.
    pub fn scrub_bytes(&self, text: &[u8]) -> Option<Vec<u8>> {
        replace(text, self.found_in(text))
    }

    /// The same for a text whose rest was cut off: at its end may be the beginning
    /// of a secret.
    pub fn scrub_cut(&self, text: &[u8]) -> Option<Vec<u8>> {
        let begun = self.needles.iter().filter_map(|it| it.begun_at_end(text));
        let mut found = self.found_in(text);
        found.extend(begun.map(|start| (start, text.len())));
        replace(text, found)
    }

    /// Whether there is a secret in it.
    pub fn finds(&self, text: &[u8]) -> bool {
        !self.found_in(text).is_empty()
    }

    fn found_in(&self, text: &[u8]) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        let is_escaped = spelling::may_have_escapes(text);
        for needle in self.needles.iter() {
            needle.find_all(text, is_escaped, &mut found);
        }
        found
    }
}

/// Those that overlap are one.
fn replace(text: &[u8], mut found: Vec<(usize, usize)>) -> Option<Vec<u8>> {
    found.sort_unstable();
    found.dedup_by(|next, before| {
        let overlaps = next.0 < before.1;
        if overlaps {
            before.1 = before.1.max(next.1);
        }
        overlaps
    });
    let mut from = 0;
    let mut replaced = Vec::new();
    for (start, end) in &found {
        replaced.extend(&text[from..*start]);
        replaced.extend(MARK.as_bytes());
        from = *end;
    }
    replaced.extend(&text[from..]);
    (!found.is_empty()).then_some(replaced)
}

impl std::fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Scrubber({} forms)", self.needles.len())
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    use super::Scrubber;

    const SECRET: &str = "p\"ss wörd/42+\\~";

    fn scrub(text: &str) -> String {
        Scrubber::new([SECRET, "short"]).scrub(text.to_owned())
    }

    #[test]
    fn a_secret_is_found_in_each_of_its_forms() {
        let json = serde_json::json!({ "k": SECRET }).to_string();
        for text in [
            SECRET.to_owned(),
            json.clone(),
            // JSON as a text in JSON, and once more.
            serde_json::json!(json).to_string(),
            serde_json::json!(serde_json::json!(json).to_string()).to_string(),
            // As others write it.
            r#"{"k":"p\"ss w\u00f6rd\/42+\\~"}"#.to_owned(),
            r#"{"k":"p\"ss w\u00F6rd\/42\u002b\\~"}"#.to_owned(),
            // As languages show texts and bytes.
            format!("{SECRET:?}"),
            r#"b'p"ss w\xc3\xb6rd/42+\\~'"#.to_owned(),
            r#""p\"ss w\u{f6}rd/42+\\~""#.to_owned(),
            // URLs: as we write a query and a path, as browsers do, in lower case, twice.
            "url?k=p%22ss%20w%C3%B6rd%2F42%2B%5C~".to_owned(),
            "url/p%22ss%20w%C3%B6rd/42+%5C~/x".to_owned(),
            "url?k=p%22ss+w%C3%B6rd%2F42%2B%5C%7E".to_owned(),
            "url?k=p%22ss+w%c3%b6rd%2f42%2b%5c%7e".to_owned(),
            "url?k=p%2522ss%2520w%25C3%25B6rd%252F42%252B%255C~".to_owned(),
            // A page that shows an error.
            "<p>p&quot;ss w&#xf6;rd/42+\\~</p>".to_owned(),
        ] {
            let scrubbed = scrub(&text);
            assert!(scrubbed.contains("(secret)"), "{text} → {scrubbed}");
            assert!(!scrubbed.contains("42"), "{text} → {scrubbed}");
        }
    }

    #[test]
    fn a_secret_is_found_inside_base64() {
        for before in ["", "a", "ab", "user:", "{\"k\":\""] {
            for after in ["", "\"}", "xyz"] {
                let text = format!(
                    "Basic {}",
                    STANDARD.encode(format!("{before}{SECRET}{after}"))
                );
                let scrubbed = scrub(&text);
                assert!(scrubbed.contains("(secret)"), "{text} → {scrubbed}");
                let left = text.len() - scrubbed.len() + "(secret)".len();
                // What is left are the parts before and after, and a character at each edge.
                assert!(left + 4 >= SECRET.len() * 4 / 3, "{text} → {scrubbed}");
            }
        }
    }

    #[test]
    fn what_is_no_secret_stays_as_it_is() {
        for text in [
            "a short word",
            "p\"ss wörd/42",
            "",
            "%%%\\\\\\&&&",
            "100 % \\n & more",
        ] {
            assert_eq!(scrub(text), text);
        }
        assert_eq!(
            scrub(&format!("a {SECRET} b {SECRET}")),
            "a (secret) b (secret)"
        );
    }

    #[test]
    fn secrets_that_overlap_leave_nothing_of_each_other() {
        let scrubber = Scrubber::new(["abcdefghij", "ghijklmnop", "abcdefgh"]);
        assert_eq!(scrubber.scrub("<abcdefghijklmnop>".into()), "<(secret)>");
    }

    #[test]
    fn a_line_of_a_secret_of_several_lines_is_found() {
        let scrubber = Scrubber::new(["-----BEGIN-----\r\nMIIEvQIBADAN\r\n"]);
        assert_eq!(scrubber.scrub("log: MIIEvQIBADAN".into()), "log: (secret)");
    }

    #[test]
    fn bytes_that_are_no_text_are_searched_as_well() {
        let scrubber = Scrubber::new(["correct-horse"]);
        let scrubbed = scrubber.scrub_bytes(b"\xff\xfecorrect-horse\xff");
        assert_eq!(scrubbed.as_deref(), Some(&b"\xff\xfe(secret)\xff"[..]));
        assert_eq!(scrubber.scrub_bytes(b"\xff\xfe"), None);
    }

    #[test]
    fn a_beginning_at_the_end_of_a_text_that_was_cut_is_not_shown() {
        let scrubber = Scrubber::new(["correct horse"]);
        for (text, shown) in [
            ("body: correct hors", "body: (secret)"),
            ("body: correct%20h", "body: (secret)"),
            ("body: correct%2", "body: (secret)"),
            ("body: correct horse", "body: (secret)"),
            ("body: correct horsecorr", "body: (secret)(secret)"),
        ] {
            let scrubbed = scrubber.scrub_cut(text.as_bytes()).expect("found");
            assert_eq!(String::from_utf8_lossy(&scrubbed), shown);
        }
        assert_eq!(scrubber.scrub_cut(b"a body"), None);
    }

    /// A guest chooses texts, and the host's time is not charged to it. Four times the
    /// text takes four times as long, where each place looked at the whole text sixteen.
    #[test]
    fn a_hostile_text_takes_time_in_proportion_to_its_length() {
        let scrubber = Scrubber::new(["\\\\\\\\\\\\\\\\%%%%%%%%&&&&&&&&"]);
        for unit in ["\\", "\\x", "%25", "%", "&amp;", "&#0000", "\\u005c"] {
            let took = |bytes: usize| {
                let text = unit.repeat(bytes / unit.len());
                let before = own_time();
                scrubber.finds(text.as_bytes());
                own_time() - before
            };
            let (short, long) = (took(1 << 13), took(1 << 15));
            assert!(long < 8 * short, "{unit}: {short} ns, {long} ns");
        }
    }

    /// Of this thread on a processor, in ns: what others do does not count. The kernel
    /// counts in ticks of some ms, so what is measured takes several.
    fn own_time() -> u64 {
        let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
        let time = stat.split(' ').next().expect("a field");
        time.parse().expect("a number")
    }
}

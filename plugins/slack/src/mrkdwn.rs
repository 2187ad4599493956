//! Text as Slack reads it: `&`, `<` and `>` are control characters, and every text
//! has a limit, after which Slack refuses the whole message.

const CUT: &str = "… (cut)";

/// Escapes a text, and cuts it so that it has at most `max_chars` when escaped.
/// Never cuts within a character or an escape; a cut is visible.
pub(crate) fn escape(text: &str, max_chars: usize) -> String {
    let cut_chars = CUT.chars().count();
    let mut escaped = String::with_capacity(text.len());
    let mut chars = 0;
    // Where to go back to if it turns out too long.
    let mut cut_at = 0;
    for char in text.chars() {
        let width = match char {
            '&' => 5,
            '<' | '>' => 4,
            _ => 1,
        };
        if chars + width > max_chars {
            escaped.truncate(cut_at);
            return escaped + CUT;
        }
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            other => escaped.push(other),
        }
        chars += width;
        if chars + cut_chars <= max_chars {
            cut_at = escaped.len();
        }
    }
    escaped
}

/// Between back-ticks, which must not end early.
pub(crate) fn code(text: &str, max_chars: usize) -> String {
    let text = text.replace('`', "'");
    format!("`{}`", escape(&text, max_chars.saturating_sub(2)))
}

/// Lines as they are, in a box.
pub(crate) fn code_block(text: &str, max_chars: usize) -> String {
    let text = text.replace("```", "'''");
    format!("```\n{}\n```", escape(&text, max_chars.saturating_sub(8)))
}

/// A link to an address that has no line breaks.
pub(crate) fn link(address: &str, label: &str) -> String {
    let address = address
        .replace('|', "%7C")
        .replace('<', "%3C")
        .replace('>', "%3E");
    format!("<{}|{}>", address.replace('&', "&amp;"), escape(label, 150))
}

#[cfg(test)]
mod tests {
    use super::{code_block, escape, link};

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(escape("<!channel> & co", 100), "&lt;!channel&gt; &amp; co");
    }

    #[test]
    fn a_text_at_its_limit_stays_whole() {
        assert_eq!(escape("ninechars", 9), "ninechars");
        assert_eq!(escape("&&", 10), "&amp;&amp;");
    }

    #[test]
    fn a_longer_text_is_cut_visibly_and_between_characters() {
        assert_eq!(escape("a very long story", 12), "a ver… (cut)");
        assert_eq!(escape("🚀🚀🚀🚀🚀🚀🚀🚀🚀🚀", 9), "🚀🚀… (cut)");
        for max_chars in 8..60 {
            let cut = escape(&"a&b<c>é🚀".repeat(20), max_chars);
            assert!(cut.chars().count() <= max_chars, "{max_chars}: {cut}");
            assert!(cut.ends_with("… (cut)"), "{max_chars}: {cut}");
            let entities = cut.matches('&').count();
            assert_eq!(entities, cut.matches(';').count(), "{max_chars}: {cut}");
        }
    }

    #[test]
    fn output_cannot_leave_its_box() {
        assert_eq!(code_block("a ``` <b>", 100), "```\na ''' &lt;b&gt;\n```");
    }

    #[test]
    fn an_address_cannot_end_its_link() {
        assert_eq!(
            link("https://a.example/e?x=1&y=<|>", "open"),
            "<https://a.example/e?x=1&amp;y=%3C%7C%3E|open>"
        );
    }
}
